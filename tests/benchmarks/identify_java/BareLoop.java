import com.machinezoo.sourceafis.FingerprintMatcher;
import com.machinezoo.sourceafis.FingerprintTemplate;
import com.sun.management.OperatingSystemMXBean;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.lang.management.ManagementFactory;

/** The bare work of a search: SourceAFIS in a loop over templates in memory, one thread. */
final class BareLoop {
    private static final OperatingSystemMXBean PROCESS =
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

    /** Arguments: file of templates (count, then length and bytes each), copies, searches. */
    public static void main(String[] arguments) throws Exception {
        byte[][] serialised = read(arguments[0]);
        int copies = Integer.parseInt(arguments[1]);
        int searches = Integer.parseInt(arguments[2]);
        long before = used();
        FingerprintTemplate[] gallery = new FingerprintTemplate[serialised.length * copies];
        for (int row = 0; row < gallery.length; ++row) {
            gallery[row] = new FingerprintTemplate(serialised[row % serialised.length]);
        }
        long octets = (used() - before) / gallery.length;
        double found = 0;
        long nanoseconds = Long.MAX_VALUE;
        for (int search = 0; search < searches; ++search) {
            FingerprintMatcher matcher = new FingerprintMatcher(gallery[search]);
            long started = PROCESS.getProcessCpuTime(); // with its collector and its compiler
            for (FingerprintTemplate reference : gallery) {
                found += matcher.match(reference);
            }
            long spent = PROCESS.getProcessCpuTime() - started;
            nanoseconds = Math.min(nanoseconds, spent / gallery.length);
        }
        System.out.println(nanoseconds + " " + octets + " " + (found > 0));
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
