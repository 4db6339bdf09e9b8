import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.jmrtd.AccessKeySpec;
import org.jmrtd.BACKey;
import org.jmrtd.PACEKeySpec;

/**
 * JMRTD at a command line. The last line of standard output is {"answer": …} or {"refused": why}.
 *
 * <pre>
 * read CSCA BLOCK SFI can NUMBER | read CSCA BLOCK SFI mrz NUMBER BIRTH EXPIRY
 * parse FOLDER CSCA      what JMRTD's classes find in NAME.bin of every file
 * write FACE KEY SIGNER  files by JMRTD's classes, as hex
 * </pre>
 */
public final class Shim {
  private Shim() {}

  public static void main(String[] words) {
    Security.addProvider(new BouncyCastleProvider());
    Logger.getLogger("org.jmrtd").setLevel(Level.OFF);
    try {
      System.out.println(Json.of(Map.of("answer", answer(words))));
    } catch (Exception refusal) {
      System.out.println(Json.of(Map.of("refused", refusal.toString())));
    }
  }

  private static Object answer(String[] words) throws Exception {
    return switch (words[0]) {
      case "read" -> Reading.chip(key(words), Path.of(words[1]), Integer.parseInt(words[2]),
          Boolean.parseBoolean(words[3]));
      case "parse" -> parse(files(Path.of(words[1])), Path.of(words[2]));
      case "write" -> Writing.files(
          Path.of(words[2]), Path.of(words[3]), Files.readAllBytes(Path.of(words[1])));
      default -> throw new IllegalArgumentException(words[0]);
    };
  }

  private static AccessKeySpec key(String[] words) throws Exception {
    return words[4].equals("can")
        ? PACEKeySpec.createCANKey(words[5])
        : PACEKeySpec.createMRZKey(new BACKey(words[5], words[6], words[7]));
  }

  private static Map<String, Object> parse(Map<String, byte[]> files, Path csca)
      throws Exception {
    Map<String, Object> found = new LinkedHashMap<>(Contents.of(files));
    found.put("passive", Reading.passive(files, csca));
    return found;
  }

  private static Map<String, byte[]> files(Path folder) throws Exception {
    Map<String, byte[]> files = new TreeMap<>();
    try (DirectoryStream<Path> paths = Files.newDirectoryStream(folder, "*.bin")) {
      for (Path path : paths) {
        String name = path.getFileName().toString();
        files.put(name.substring(0, name.length() - 4), Files.readAllBytes(path));
      }
    }
    return files;
  }
}
