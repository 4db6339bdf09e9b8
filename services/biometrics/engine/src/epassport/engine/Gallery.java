package epassport.engine;

import com.machinezoo.sourceafis.FingerprintMatcher;
import com.machinezoo.sourceafis.FingerprintTemplate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * References held as objects, each with all its fingers, searched without leaving Java.
 *
 * <p>A snapshot is taken in the order in which requests arrive and searched later, on any thread: it
 * holds every reference inserted before it and none inserted after. Rows are never overwritten while
 * a snapshot may read them: an insert writes behind every snapshot's end, a removal or replacement
 * copies the array (8 bytes for each reference).
 *
 * <p>Rows are numbered for the filter, which keeps a vector beside each: see {@link #insert} and
 * {@link #remove}.
 */
public final class Gallery {
    private static final int CHUNK = 256; // about 20 ms of matching: even load, little overhead
    private static final int POSITIONS = 11; // ISO/IEC 19794-2, table 2: 1 to 10, thumb to little

    private record Reference(String id, FingerprintTemplate[] fingers) {}

    private record Probe(int position, FingerprintMatcher matcher) {}

    private record Limits(double threshold, double fused) {}

    /**
     * score: of the best finger. fused: the sum over like fingers, or over mirrored ones where that
     * is more. mirrored: the best finger is enrolled as the other hand's.
     */
    public record Candidate(String id, double score, double fused, boolean mirrored) {}

    public record Snapshot(Reference[] rows, int size) {}

    private final Map<String, Integer> places = new HashMap<>();
    private final ExecutorService threads;
    private Reference[] rows = new Reference[1024];
    private int size;

    public Gallery(int threads) {
        this.threads = Executors.newFixedThreadPool(threads, task -> {
            Thread thread = new Thread(task, "gallery");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** The row: a known id keeps its own, so a repeated insert changes nothing. */
    public synchronized int insert(String id, int[] positions, byte[][] templates) {
        Reference reference = new Reference(id, new FingerprintTemplate[POSITIONS]);
        for (int finger = 0; finger < positions.length; ++finger) {
            reference.fingers()[positions[finger]] = Extractor.open(templates[finger]);
        }
        Integer place = places.get(id);
        if (place != null) {
            rows = rows.clone();
            rows[place] = reference;
            return place;
        }
        if (size == rows.length) {
            rows = Arrays.copyOf(rows, size * 2);
        }
        rows[size] = reference;
        places.put(id, size);
        return size++;
    }

    /** The row that is free, into which the last one has moved; -1 for an unknown id. */
    public synchronized int remove(String id) {
        Integer place = places.remove(id);
        if (place == null) {
            return -1;
        }
        rows = rows.clone();
        Reference last = rows[--size];
        rows[size] = null;
        if (place != size) {
            rows[place] = last;
            places.put(last.id(), place);
        }
        return place;
    }

    public synchronized Snapshot snapshot() {
        return new Snapshot(rows, size);
    }

    /**
     * The best {@code atMost} references, best first, of which one finger scores {@code threshold} or
     * two and more together {@code fused}.
     *
     * @param shortlist rows to look at; null for all
     */
    public List<Candidate> search(
            Snapshot snapshot,
            int[] positions,
            byte[][] templates,
            double threshold,
            double fused,
            int atMost,
            int[] shortlist) {
        Probe[] probes = new Probe[positions.length];
        for (int finger = 0; finger < positions.length; ++finger) {
            FingerprintMatcher matcher = new FingerprintMatcher(Extractor.open(templates[finger]));
            probes[finger] = new Probe(positions[finger], matcher);
        }
        Limits limits = new Limits(threshold, fused);
        int count = shortlist == null ? snapshot.size() : shortlist.length;
        List<Future<List<Candidate>>> parts = new ArrayList<>();
        for (int start = 0; start < count; start += CHUNK) {
            int from = start;
            int to = Math.min(start + CHUNK, count);
            parts.add(threads.submit(() -> scan(probes, snapshot, shortlist, from, to, limits)));
        }
        List<Candidate> found = new ArrayList<>();
        for (Future<List<Candidate>> part : parts) {
            found.addAll(result(part));
        }
        found.sort(Comparator.comparingDouble(Candidate::score).reversed().thenComparing(Candidate::id));
        return found.size() > atMost ? found.subList(0, atMost) : found;
    }

    private static List<Candidate> scan(
            Probe[] probes, Snapshot snapshot, int[] shortlist, int from, int to, Limits limits) {
        List<Candidate> found = new ArrayList<>();
        for (int index = from; index < to; ++index) {
            Reference reference = snapshot.rows()[shortlist == null ? index : shortlist[index]];
            Candidate candidate = compare(probes, reference);
            boolean alike = probes.length > 1 && candidate.fused() >= limits.fused();
            if (candidate.score() >= limits.threshold() || alike) {
                found.add(candidate);
            }
        }
        return found;
    }

    /** Like finger with like, and with the other hand's: operators and applicants mix them up. */
    private static Candidate compare(Probe[] probes, Reference reference) {
        double like = 0;
        double crossed = 0;
        double bestLike = 0;
        double bestCrossed = 0;
        for (Probe probe : probes) {
            double score = score(probe, reference.fingers()[probe.position()]);
            like += score;
            bestLike = Math.max(bestLike, score);
            double other = score(probe, reference.fingers()[mirrored(probe.position())]);
            crossed += other;
            bestCrossed = Math.max(bestCrossed, other);
        }
        return new Candidate(
                reference.id(),
                Math.max(bestLike, bestCrossed),
                Math.max(like, crossed),
                bestCrossed > bestLike);
    }

    private static double score(Probe probe, FingerprintTemplate enrolled) {
        return enrolled == null ? 0 : probe.matcher().match(enrolled);
    }

    private static int mirrored(int position) {
        return position > 5 ? position - 5 : position + 5;
    }

    private static <T> T result(Future<T> part) {
        try {
            return part.get();
        } catch (ExecutionException failed) {
            throw new IllegalStateException(failed.getCause());
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(interrupted);
        }
    }
}
