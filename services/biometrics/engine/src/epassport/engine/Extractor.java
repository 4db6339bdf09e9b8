package epassport.engine;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.cbor.CBORFactory;
import com.machinezoo.sourceafis.FingerprintImage;
import com.machinezoo.sourceafis.FingerprintImageOptions;
import com.machinezoo.sourceafis.FingerprintMatcher;
import com.machinezoo.sourceafis.FingerprintTemplate;
import java.io.IOException;

/**
 * Raw gray in, serialised template out, and 1:1 comparison.
 *
 * <p>Images arrive as raw gray and never as PNG: Java's ImageIO applies a gamma to gray PNGs
 * (122 becomes 184), so the same file would give another template than the one that was checked.
 */
public final class Extractor {
    private static final ObjectMapper CBOR = new ObjectMapper(new CBORFactory());

    private static final String VERSION = versionOf(FingerprintTemplate.empty().toByteArray());

    private Extractor() {}

    /** The version that stands in every template; another version's template is never matched. */
    public static String version() {
        return VERSION;
    }

    /** One byte per pixel, rows from the top, 0 is black. */
    public static byte[] extract(byte[] gray, int width, int height, double dpi) {
        FingerprintImageOptions options = new FingerprintImageOptions().dpi(dpi);
        return new FingerprintTemplate(new FingerprintImage(width, height, gray, options)).toByteArray();
    }

    public static int minutiae(byte[] template) {
        return read(template).path("positionsX").size();
    }

    /** Scores are not symmetric: the matcher is always built from the probe. */
    public static double compare(byte[] probe, byte[] reference) {
        return new FingerprintMatcher(open(probe)).match(open(reference));
    }

    /** One probe against the same reference, as a search does: for warming up. */
    public static void compareOften(byte[] probe, byte[] reference, int times) {
        FingerprintMatcher matcher = new FingerprintMatcher(open(probe));
        FingerprintTemplate enrolled = open(reference);
        for (int time = 0; time < times; ++time) {
            matcher.match(enrolled);
        }
    }

    /** SourceAFIS would also guess at foreign formats and read other versions: both are refused. */
    static FingerprintTemplate open(byte[] template) {
        String found = versionOf(template);
        if (!found.equals(VERSION)) {
            throw new IllegalArgumentException("template of version " + found);
        }
        return new FingerprintTemplate(template);
    }

    private static String versionOf(byte[] template) {
        return read(template).path("version").asText("none");
    }

    private static JsonNode read(byte[] template) {
        try {
            JsonNode tree = CBOR.readTree(template);
            if (tree == null || !tree.isObject()) {
                throw new IllegalArgumentException("not a template");
            }
            return tree;
        } catch (IOException unreadable) {
            throw new IllegalArgumentException("not a template", unreadable);
        }
    }
}
