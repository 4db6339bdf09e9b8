import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.sf.scuba.smartcards.CardServiceException;
import org.jmrtd.AccessKeySpec;
import org.jmrtd.PassportService;
import org.jmrtd.lds.ActiveAuthenticationInfo;
import org.jmrtd.lds.CardAccessFile;
import org.jmrtd.lds.LDSFileUtil;
import org.jmrtd.lds.PACEInfo;
import org.jmrtd.lds.SODFile;
import org.jmrtd.lds.SecurityInfo;
import org.jmrtd.lds.icao.COMFile;
import org.jmrtd.lds.icao.DG14File;
import org.jmrtd.lds.icao.DG15File;

/** A whole chip read by JMRTD: PACE, every file, passive and active authentication. */
final class Reading {
  private static final String ECDSA_PLAIN_SHA256 = "0.4.0.127.0.7.1.1.4.1.3";

  private Reading() {}

  static Map<String, Object> chip(AccessKeySpec key, Path csca, int blockBytes, boolean shortIds)
      throws Exception {
    PassportService service =
        new PassportService(new PipedChip(), 256, blockBytes, shortIds, true);
    service.open();
    String protocol = pace(service, key);
    service.sendSelectApplet(true);

    Map<String, byte[]> files = new LinkedHashMap<>();
    files.put("EF.COM", read(service, PassportService.EF_COM));
    List<String> closed = new ArrayList<>();
    for (int tag : new COMFile(stream(files.get("EF.COM"))).getTagList()) {
      int number = LDSFileUtil.lookupDataGroupNumberByTag(tag);
      try {
        files.put("DG" + number, read(service, LDSFileUtil.lookupFIDByTag(tag)));
      } catch (CardServiceException | IOException refused) {
        closed.add("DG" + number);
      }
    }
    files.put("EF.SOD", read(service, PassportService.EF_SOD));

    Map<String, Object> found = new LinkedHashMap<>();
    found.put("pace", protocol);
    found.put("closed", closed);
    found.put("passive", passive(files, csca));
    found.put("active", active(service, files));
    found.put("files", files);
    return found;
  }

  private static String pace(PassportService service, AccessKeySpec key) throws Exception {
    CardAccessFile access =
        new CardAccessFile(service.getInputStream(PassportService.EF_CARD_ACCESS, 223));
    for (SecurityInfo info : access.getSecurityInfos()) {
      if (info instanceof PACEInfo pace) {
        BigInteger parameters = pace.getParameterId();
        service.doPACE(
            key, pace.getObjectIdentifier(), PACEInfo.toParameterSpec(parameters), parameters);
        return pace.getProtocolOIDString();
      }
    }
    throw new IllegalStateException("no PACEInfo");
  }

  /** Empty where everything holds, else what does not. */
  static String passive(Map<String, byte[]> files, Path csca) throws Exception {
    SODFile sod = new SODFile(stream(files.get("EF.SOD")));
    X509Certificate signer = sod.getDocSigningCertificate();
    try (InputStream in = Files.newInputStream(csca)) {
      X509Certificate root = (X509Certificate)
          CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
      signer.verify(root.getPublicKey(), "BC");
    }
    Signature signature = Signature.getInstance(sod.getDigestEncryptionAlgorithm(), "BC");
    signature.initVerify(signer.getPublicKey());
    signature.update(sod.getEContent());
    if (!signature.verify(sod.getEncryptedDigest())) {
      return "EF.SOD";
    }
    MessageDigest digest = MessageDigest.getInstance(sod.getDigestAlgorithm());
    for (Map.Entry<Integer, byte[]> signed : sod.getDataGroupHashes().entrySet()) {
      byte[] file = files.get("DG" + signed.getKey());
      if (file != null && !MessageDigest.isEqual(digest.digest(file), signed.getValue())) {
        return "DG" + signed.getKey();
      }
    }
    return "";
  }

  private static boolean active(PassportService service, Map<String, byte[]> files)
      throws Exception {
    ActiveAuthenticationInfo info =
        new DG14File(stream(files.get("DG14"))).getActiveAuthenticationInfos().get(0);
    if (!ECDSA_PLAIN_SHA256.equals(info.getSignatureAlgorithmOID())) {
      throw new IllegalStateException(info.getSignatureAlgorithmOID());
    }
    PublicKey key = new DG15File(stream(files.get("DG15"))).getPublicKey();
    byte[] challenge = new byte[8];
    new SecureRandom().nextBytes(challenge);
    byte[] response = service.doAA(key, "SHA-256", "SHA256withECDSA", challenge).getResponse();
    Signature signature = Signature.getInstance("SHA256withPLAIN-ECDSA", "BC");
    signature.initVerify(key);
    signature.update(challenge);
    return signature.verify(response);
  }

  private static byte[] read(PassportService service, short file) throws Exception {
    try (InputStream in = service.getInputStream(file, service.getMaxTranceiveLength())) {
      return in.readAllBytes();
    }
  }

  static InputStream stream(byte[] file) {
    return new ByteArrayInputStream(file);
  }
}
