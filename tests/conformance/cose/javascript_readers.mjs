// Runs beside cose-js, in its own folder: answers one JSON line with one.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/package.json`);
const cose = require("cose-js");

const bytes = (hex) => Buffer.from(hex, "hex");
const NAMES = { "-7": "ES256", "-35": "ES384" };

const answers = {
  "cose-js read sign1": async (asked) => {
    const key = { x: bytes(asked.x), y: bytes(asked.y) };
    const options = { defaultType: cose.sign.Sign1Tag };
    const payload = await cose.sign.verify(bytes(asked.message), { key }, options);
    return payload.toString("hex");
  },
  "cose-js write sign1": async (asked) => {
    const headers = { p: { alg: NAMES[asked.alg] }, u: { kid: bytes(asked.kid) } };
    const signer = { key: { d: bytes(asked.d) } };
    const options = { excludetag: !asked.tagged };
    const message = await cose.sign.create(headers, bytes(asked.payload), signer, options);
    return message.toString("hex");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let said;
  try {
    said = { answer: await answers[asked.do](asked) };
  } catch (refusal) {
    said = { refused: String(refusal) };
  }
  console.log(JSON.stringify(said));
}
