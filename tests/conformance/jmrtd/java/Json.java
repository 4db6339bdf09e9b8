import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Just enough JSON to say what was read: maps, lists, texts, numbers, and bytes as hex. */
final class Json {
  private Json() {}

  static String of(Object value) {
    if (value == null || value instanceof Number || value instanceof Boolean) {
      return String.valueOf(value);
    }
    if (value instanceof byte[] bytes) {
      return quoted(HexFormat.of().formatHex(bytes));
    }
    if (value instanceof Map<?, ?> map) {
      return map.entrySet().stream()
          .map(entry -> quoted(entry.getKey().toString()) + ":" + of(entry.getValue()))
          .collect(Collectors.joining(",", "{", "}"));
    }
    if (value instanceof int[] numbers) {
      return Arrays.toString(numbers);
    }
    if (value instanceof List<?> list) {
      return list.stream().map(Json::of).collect(Collectors.joining(",", "[", "]"));
    }
    return quoted(value.toString());
  }

  private static String quoted(String text) {
    return text.chars()
        .mapToObj(sign -> sign < ' ' || sign == '"' || sign == '\\' || sign > '~'
            ? String.format("\\u%04x", sign) : String.valueOf((char) sign))
        .collect(Collectors.joining("", "\"", "\""));
  }
}
