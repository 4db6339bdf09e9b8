// Runs beside @sd-jwt/sd-jwt-vc, @sd-jwt/jwt-status-list and dcql, in their own folder:
// answers one JSON line with one.

import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/package.json`);
const { SDJwtVcInstance } = require("@sd-jwt/sd-jwt-vc");
const { StatusList, createHeaderAndPayload, getListFromStatusListJWT } = require(
  "@sd-jwt/jwt-status-list",
);
const { DcqlQuery } = require("dcql");

const ES256 = { dsaEncoding: "ieee-p1363" };
const signer = (jwk) => {
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  return (data) => sign("sha256", Buffer.from(data), { key, ...ES256 }).toString("base64url");
};
const verifier = (jwk) => {
  const { d, ...open } = jwk;
  const key = createPublicKey({ key: open, format: "jwk" });
  return (data, signature) =>
    verify("sha256", Buffer.from(data), { key, ...ES256 }, Buffer.from(signature, "base64url"));
};
const common = {
  hasher: (data, alg) => createHash(alg.replace("-", "")).update(data).digest(),
  hashAlg: "sha-256",
  saltGenerator: (length) => randomBytes(length).toString("base64url"),
  signAlg: "ES256",
  kbSignAlg: "ES256",
  kbVerifier: (data, signature, payload) => verifier(payload.cnf.jwk)(data, signature),
};
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

const answers = {
  // The status list comes from `lists`, by address; the library checks signature and status.
  "sd-jwt-vc read": async (asked) => {
    const vc = new SDJwtVcInstance({
      ...common,
      verifier: verifier(asked.issuer),
      statusVerifier: asked.status_issuer && verifier(asked.status_issuer),
      statusListFetcher: async (uri) => asked.lists[uri],
    });
    const options = { currentDate: asked.now, keyBindingNonce: asked.nonce };
    const result = await vc.verify(asked.text, options);
    return { claims: result.payload, audience: result.kb?.payload.aud ?? null };
  },
  "sd-jwt-vc write": async (asked) => {
    const vc = new SDJwtVcInstance({
      ...common,
      signer: signer(asked.issuer),
      kbSigner: signer(asked.holder),
    });
    const issued = await vc.issue(asked.claims, asked.frame, { header: asked.header });
    const payload = { iat: asked.now, aud: asked.audience, nonce: asked.nonce };
    return vc.present(issued, asked.show, { kb: { payload } });
  },
  "jwt-status-list read": async (asked) => {
    const list = getListFromStatusListJWT(asked.token);
    return asked.indices.map((index) => list.getStatus(index));
  },
  "jwt-status-list write": async (asked) => {
    const list = new StatusList(asked.values, asked.bits);
    const { header, payload } = createHeaderAndPayload(list, asked.claims, {
      alg: "ES256",
      typ: "statuslist+jwt",
      kid: asked.kid,
    });
    const signed = `${encode(header)}.${encode(payload)}`;
    return `${signed}.${signer(asked.issuer)(signed)}`;
  },
  "dcql read": async (asked) => {
    DcqlQuery.validate(DcqlQuery.parse(asked.query));
    return true;
  },
  "dcql answer": async (asked) => {
    const query = DcqlQuery.parse(asked.query);
    DcqlQuery.validate(query);
    const result = DcqlQuery.query(query, asked.wallet);
    const matches = Object.entries(result.credential_matches);
    return {
      satisfied: result.can_be_satisfied,
      fitting: Object.fromEntries(
        matches.map(([id, match]) => [
          id,
          (match.valid_credentials ?? []).map((valid) => valid.input_credential_index),
        ]),
      ),
    };
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
