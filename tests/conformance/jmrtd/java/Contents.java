import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jmrtd.lds.AbstractImageInfo;
import org.jmrtd.lds.ActiveAuthenticationInfo;
import org.jmrtd.lds.CardAccessFile;
import org.jmrtd.lds.DisplayedImageInfo;
import org.jmrtd.lds.PACEInfo;
import org.jmrtd.lds.SODFile;
import org.jmrtd.lds.SecurityInfo;
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

/** What JMRTD's own classes find in each file. */
final class Contents {
  private Contents() {}

  static Map<String, Object> of(Map<String, byte[]> files) throws Exception {
    Map<String, Object> contents = new LinkedHashMap<>();
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      contents.put(file.getKey(), of(file.getKey(), file.getValue()));
    }
    return contents;
  }

  private static Object of(String name, byte[] file) throws Exception {
    return switch (name) {
      case "EF.COM" -> {
        COMFile com = new COMFile(Reading.stream(file));
        yield List.of(com.getLDSVersion(), com.getUnicodeVersion(), com.getTagList());
      }
      case "EF.CardAccess" ->
          protocols(new CardAccessFile(Reading.stream(file)).getSecurityInfos());
      case "EF.SOD" -> {
        SODFile sod = new SODFile(Reading.stream(file));
        yield List.of(sod.getDigestAlgorithm(), sod.getDataGroupHashes());
      }
      case "DG1" -> zone(new DG1File(Reading.stream(file)).getMRZInfo());
      case "DG2" -> faces(new DG2File(Reading.stream(file)));
      case "DG3" -> fingers(new DG3File(Reading.stream(file)));
      case "DG7" -> signatures(new DG7File(Reading.stream(file)));
      case "DG11" -> person(new DG11File(Reading.stream(file)));
      case "DG12" -> document(new DG12File(Reading.stream(file)));
      case "DG14" -> protocols(new DG14File(Reading.stream(file)).getSecurityInfos());
      case "DG15" -> new DG15File(Reading.stream(file)).getPublicKey().getEncoded();
      default -> throw new IllegalArgumentException("JMRTD has no class for " + name);
    };
  }

  private static Object zone(MRZInfo mrz) {
    return List.of(mrz.getDocumentCode(), mrz.getIssuingState(), mrz.getPrimaryIdentifier(),
        mrz.getSecondaryIdentifier(), mrz.getDocumentNumber(), mrz.getNationality(),
        mrz.getDateOfBirth(), mrz.getGender(), mrz.getDateOfExpiry());
  }

  private static Object faces(DG2File dg2) throws IOException {
    List<Object> found = new ArrayList<>();
    for (FaceInfo face : dg2.getFaceInfos()) {
      for (FaceImageInfo image : face.getFaceImageInfos()) {
        found.add(List.of(image.getWidth(), image.getHeight(), image.getMimeType(), bytes(image)));
      }
    }
    return found;
  }

  private static Object fingers(DG3File dg3) throws IOException {
    List<Object> found = new ArrayList<>();
    for (FingerInfo finger : dg3.getFingerInfos()) {
      for (FingerImageInfo image : finger.getFingerImageInfos()) {
        found.add(List.of(image.getPosition(), image.getWidth(), image.getHeight(),
            image.getMimeType(), image.getQuality(), bytes(image)));
      }
    }
    return found;
  }

  private static Object signatures(DG7File dg7) throws IOException {
    List<Object> found = new ArrayList<>();
    for (DisplayedImageInfo image : dg7.getImages()) {
      found.add(bytes(image));
    }
    return found;
  }

  private static Object person(DG11File dg11) {
    Map<String, Object> found = new LinkedHashMap<>();
    found.put("full_name", dg11.getNameOfHolder());
    found.put("other_names", dg11.getOtherNames());
    found.put("personal_number", dg11.getPersonalNumber());
    found.put("birth_date", dg11.getFullDateOfBirth());
    found.put("birth_place", dg11.getPlaceOfBirth());
    found.put("address", dg11.getPermanentAddress());
    found.put("telephone", dg11.getTelephone());
    found.put("profession", dg11.getProfession());
    found.put("title", dg11.getTitle());
    found.put("summary", dg11.getPersonalSummary());
    found.put("proof_of_citizenship", dg11.getProofOfCitizenship());
    found.put("other_documents", dg11.getOtherValidTDNumbers());
    found.put("custody", dg11.getCustodyInformation());
    return found;
  }

  private static Object document(DG12File dg12) {
    Map<String, Object> found = new LinkedHashMap<>();
    found.put("authority", dg12.getIssuingAuthority());
    found.put("issue_date", dg12.getDateOfIssue());
    found.put("other_persons", dg12.getNamesOfOtherPersons());
    found.put("endorsements", dg12.getEndorsementsAndObservations());
    found.put("tax_or_exit", dg12.getTaxOrExitRequirements());
    found.put("front", dg12.getImageOfFront());
    found.put("rear", dg12.getImageOfRear());
    found.put("personalised_at", dg12.getDateAndTimeOfPersonalization());
    found.put("system_serial", dg12.getPersonalizationSystemSerialNumber());
    return found;
  }

  private static Object protocols(Collection<SecurityInfo> infos) {
    return infos.stream().map(Contents::protocol).collect(Collectors.toList());
  }

  private static Object protocol(SecurityInfo info) {
    if (info instanceof PACEInfo pace) {
      return List.of(pace.getObjectIdentifier(), pace.getParameterId());
    }
    ActiveAuthenticationInfo active = (ActiveAuthenticationInfo) info;
    return List.of(active.getObjectIdentifier(), active.getSignatureAlgorithmOID());
  }

  private static byte[] bytes(AbstractImageInfo image) throws IOException {
    byte[] found = new byte[image.getImageLength()];
    new DataInputStream(image.getImageInputStream()).readFully(found);
    return found;
  }
}
