import com.machinezoo.sourceafis.FingerprintMatcher;
import com.machinezoo.sourceafis.FingerprintTemplate;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.InputStreamReader;

/** The bare work of a search: SourceAFIS in a loop over templates in memory, one thread. */
final class BareLoop {
    /**
     * Arguments: file of templates (count, then length and bytes each), copies. Prints the bytes of
     * heap for one template; then, for each number read, searches for that row and prints "done".
     */
    public static void main(String[] arguments) throws Exception {
        byte[][] serialised = read(arguments[0]);
        int copies = Integer.parseInt(arguments[1]);
        long before = used();
        FingerprintTemplate[] gallery = new FingerprintTemplate[serialised.length * copies];
        for (int row = 0; row < gallery.length; ++row) {
            gallery[row] = new FingerprintTemplate(serialised[row % serialised.length]);
        }
        System.out.println((used() - before) / gallery.length);
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in));
        for (String line = asked.readLine(); line != null; line = asked.readLine()) {
            search(gallery, Integer.parseInt(line));
            System.out.println("done");
        }
    }

    private static void search(FingerprintTemplate[] gallery, int row) {
        FingerprintMatcher matcher = new FingerprintMatcher(gallery[row]);
        double best = 0;
        for (FingerprintTemplate reference : gallery) {
            best = Math.max(best, matcher.match(reference));
        }
        if (best == 0) {
            throw new IllegalStateException("a template matches itself");
        }
    }

    private static byte[][] read(String path) throws Exception {
        try (DataInputStream file = new DataInputStream(new FileInputStream(path))) {
            byte[][] templates = new byte[file.readInt()][];
            for (int row = 0; row < templates.length; ++row) {
                templates[row] = file.readNBytes(file.readInt());
            }
            return templates;
        }
    }

    private static long used() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
