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
 * References held as objects, searched without leaving Java.
 *
 * <p>A snapshot is taken in the order in which requests arrive and searched later, on any thread: it
 * holds every reference inserted before it and none inserted after. Rows are never overwritten while
 * a snapshot may read them: an insert writes behind every snapshot's end, a removal or replacement
 * copies the array (8 bytes for each reference).
 */
public final class Gallery {
    private static final int CHUNK = 256; // about 20 ms of matching: even load, little overhead

    private record Reference(String id, FingerprintTemplate template) {}

    public record Candidate(String id, double score) {}

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

    /** Inserting a known id replaces its template, so a repeated insert changes nothing. */
    public synchronized void insert(String id, byte[] template) {
        Reference reference = new Reference(id, Extractor.open(template));
        Integer place = places.get(id);
        if (place != null) {
            rows = rows.clone();
            rows[place] = reference;
            return;
        }
        if (size == rows.length) {
            rows = Arrays.copyOf(rows, size * 2);
        }
        rows[size] = reference;
        places.put(id, size++);
    }

    public synchronized boolean remove(String id) {
        Integer place = places.remove(id);
        if (place == null) {
            return false;
        }
        rows = rows.clone();
        Reference last = rows[--size];
        rows[size] = null;
        if (place != size) {
            rows[place] = last;
            places.put(last.id(), place);
        }
        return true;
    }

    public synchronized Snapshot snapshot() {
        return new Snapshot(rows, size);
    }

    /** The best {@code atMost} references with a score of {@code threshold} or more, best first. */
    public List<Candidate> search(Snapshot snapshot, byte[] probe, double threshold, int atMost) {
        FingerprintMatcher matcher = new FingerprintMatcher(Extractor.open(probe));
        List<Future<List<Candidate>>> parts = new ArrayList<>();
        for (int start = 0; start < snapshot.size(); start += CHUNK) {
            int from = start;
            int to = Math.min(start + CHUNK, snapshot.size());
            parts.add(threads.submit(() -> scan(matcher, snapshot.rows(), from, to, threshold)));
        }
        List<Candidate> found = new ArrayList<>();
        for (Future<List<Candidate>> part : parts) {
            found.addAll(result(part));
        }
        found.sort(Comparator.comparingDouble(Candidate::score).reversed().thenComparing(Candidate::id));
        return found.size() > atMost ? found.subList(0, atMost) : found;
    }

    private static List<Candidate> scan(
            FingerprintMatcher matcher, Reference[] rows, int from, int to, double threshold) {
        List<Candidate> found = new ArrayList<>();
        for (int row = from; row < to; ++row) {
            double score = matcher.match(rows[row].template());
            if (score >= threshold) {
                found.add(new Candidate(rows[row].id(), score));
            }
        }
        return found;
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
