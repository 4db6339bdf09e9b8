import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HexFormat;
import java.util.Map;
import net.sf.scuba.smartcards.CardService;
import net.sf.scuba.smartcards.CardServiceException;
import net.sf.scuba.smartcards.CommandAPDU;
import net.sf.scuba.smartcards.ResponseAPDU;

/** A chip at the other end of standard output and input: {"apdu": hex} out, hex back. */
final class PipedChip extends CardService {
  private final BufferedReader answers = new BufferedReader(new InputStreamReader(System.in));
  private boolean open;

  @Override
  public void open() {
    open = true;
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  @Override
  public ResponseAPDU transmit(CommandAPDU command) throws CardServiceException {
    System.out.println(Json.of(Map.of("apdu", command.getBytes())));
    try {
      return new ResponseAPDU(HexFormat.of().parseHex(answers.readLine()));
    } catch (IOException error) {
      throw new CardServiceException("the chip is gone", error);
    }
  }

  @Override
  public byte[] getATR() {
    return new byte[0];
  }

  @Override
  public void close() {
    open = false;
  }

  @Override
  public boolean isConnectionLost(Exception error) {
    return false;
  }
}
