import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import net.sf.scuba.data.Gender;
import org.jmrtd.lds.ActiveAuthenticationInfo;
import org.jmrtd.lds.CardAccessFile;
import org.jmrtd.lds.DisplayedImageInfo;
import org.jmrtd.lds.ImageInfo;
import org.jmrtd.lds.LDSFile;
import org.jmrtd.lds.PACEInfo;
import org.jmrtd.lds.SODFile;
import org.jmrtd.lds.icao.COMFile;
import org.jmrtd.lds.icao.DG11File;
import org.jmrtd.lds.icao.DG12File;
import org.jmrtd.lds.icao.DG14File;
import org.jmrtd.lds.icao.DG15File;
import org.jmrtd.lds.icao.DG1File;
import org.jmrtd.lds.icao.DG2File;
import org.jmrtd.lds.icao.DG3File;
import org.jmrtd.lds.icao.DG7File;
import org.jmrtd.lds.icao.MRZInfo;
import org.jmrtd.lds.iso19794.FaceImageInfo;
import org.jmrtd.lds.iso19794.FaceInfo;
import org.jmrtd.lds.iso19794.FingerImageInfo;
import org.jmrtd.lds.iso19794.FingerInfo;

/** The files of a chip as JMRTD writes them, signed with a key and certificate from outside. */
final class Writing {
  private Writing() {}

  static Map<String, byte[]> files(Path key, Path certificate, byte[] face) throws Exception {
    X509Certificate signer = (X509Certificate) CertificateFactory.getInstance("X.509", "BC")
        .generateCertificate(new ByteArrayInputStream(Files.readAllBytes(certificate)));
    PrivateKey secret = KeyFactory.getInstance("EC", "BC")
        .generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(key)));

    Map<Integer, LDSFile> groups = new TreeMap<>();
    groups.put(1, new DG1File(MRZInfo.createTD1MRZInfo("I", "RUS", "700123456", "", "900517",
        Gender.FEMALE, "361120", "RUS", "", "PODIEMNAIA", "IULIIA")));
    groups.put(2, new DG2File(List.of(new FaceInfo(List.of(face(face))))));
    groups.put(3, new DG3File(List.of(finger(2), finger(7))));
    groups.put(7, new DG7File(List.of(
        new DisplayedImageInfo(ImageInfo.TYPE_SIGNATURE_OR_MARK, face))));
    groups.put(11, new DG11File("ПОДЪЁМНАЯ<<ЮЛИЯ", List.of("ЩУКИНА<<ЮЛИЯ"), "12345", "19900517",
        List.of("Казань", "Татарстан"), List.of("Баумана, 1", "Казань"), "+78430000000", "", "",
        "", null, List.of("700123456"), ""));
    groups.put(12, new DG12File("МВД РОССИИ", "20261122", List.of("IVANOV<<PETR"), "", "", face,
        null, "20261122093000", "BUREAU-1"));
    PACEInfo pace = new PACEInfo("0.4.0.127.0.7.2.2.4.2.2", 2, 12);
    groups.put(14, new DG14File(List.of(
        pace,
        new ActiveAuthenticationInfo("0.4.0.127.0.7.1.1.4.1.3"))));
    groups.put(15, new DG15File(signer.getPublicKey()));

    Map<String, byte[]> files = new LinkedHashMap<>();
    Map<Integer, byte[]> hashes = new TreeMap<>();
    for (Map.Entry<Integer, LDSFile> group : groups.entrySet()) {
      byte[] file = group.getValue().getEncoded();
      files.put("DG" + group.getKey(), file);
      hashes.put(group.getKey(), MessageDigest.getInstance("SHA-256").digest(file));
    }
    files.put("EF.CardAccess", new CardAccessFile(List.of(pace)).getEncoded());
    int[] tags = {0x61, 0x75, 0x63, 0x67, 0x6B, 0x6C, 0x6E, 0x6F};
    files.put("EF.COM", new COMFile("01", "07", "04", "00", "00", tags).getEncoded());
    files.put("EF.SOD",
        new SODFile("SHA-256", "SHA256withECDSA", hashes, secret, signer, "BC").getEncoded());
    return files;
  }

  private static FaceImageInfo face(byte[] image) throws Exception {
    return new FaceImageInfo(Gender.FEMALE, FaceImageInfo.EyeColor.BROWN, 0, 0, 0, new int[3],
        new int[3], FaceImageInfo.FACE_IMAGE_TYPE_FULL_FRONTAL, 1, 2, 0, 0,
        new FaceImageInfo.FeaturePoint[0], 480, 600, new ByteArrayInputStream(image),
        image.length, FaceImageInfo.IMAGE_DATA_TYPE_JPEG);
  }

  private static FingerInfo finger(int position) throws Exception {
    byte[] image = {(byte) 0xFF, (byte) 0xA0, 1, 2, 3, (byte) position};
    FingerImageInfo info = new FingerImageInfo(position, 1, 1, 80, 0, 300, 400,
        new ByteArrayInputStream(image), image.length, FingerInfo.COMPRESSION_WSQ);
    return new FingerInfo(0, 31, 1, 500, 500, 500, 500, 8, FingerInfo.COMPRESSION_WSQ,
        List.of(info));
  }
}
