// Runs beside @openid4vc/openid4vp, in its own folder: answers one JSON line with one.

import { X509Certificate, createPrivateKey, sign, verify } from "node:crypto";
import { createInterface } from "node:readline";

const library = `${process.argv[2]}/node_modules/@openid4vc/openid4vp/dist/index.mjs`;
const openid4vp = await import(library);

const ES256 = { dsaEncoding: "ieee-p1363" };
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const certificate = (x5c) => new X509Certificate(Buffer.from(x5c, "base64"));
const callbacks = {
  verifyJwt: async (signer, { compact }) => {
    const [header, payload, signature] = compact.split(".");
    const key = certificate(signer.x5c[0]).publicKey;
    const bytes = Buffer.from(signature, "base64url");
    const verified = verify("sha256", Buffer.from(`${header}.${payload}`), { key, ...ES256 }, bytes);
    return { verified, signerJwk: key.export({ format: "jwk" }) };
  },
  getX509CertificateMetadata: (x5c) => {
    const names = (certificate(x5c).subjectAltName ?? "").split(", ");
    const dns = names.filter((name) => name.startsWith("DNS:"));
    return { sanDnsNames: dns.map((name) => name.slice(4)), sanUriNames: [] };
  },
};

const answers = {
  "openid4vp read request": async (asked) => {
    const resolved = await openid4vp.resolveOpenid4vpAuthorizationRequest({
      authorizationRequestPayload: { client_id: asked.client_id, request: asked.request },
      callbacks,
    });
    return { payload: resolved.authorizationRequestPayload, version: resolved.version };
  },
  "openid4vp write request": async (asked) => {
    const signJwt = async (signer, { header, payload }) => {
      const signed = `${encode(header)}.${encode(payload)}`;
      const key = createPrivateKey({ key: asked.key, format: "jwk" });
      const signature = sign("sha256", Buffer.from(signed), { key, ...ES256 });
      const signerJwk = certificate(signer.x5c[0]).publicKey.export({ format: "jwk" });
      return { jwt: `${signed}.${signature.toString("base64url")}`, signerJwk };
    };
    const created = await openid4vp.createOpenid4vpAuthorizationRequest({
      authorizationRequestPayload: asked.payload,
      jar: {
        jwtSigner: { method: "x5c", alg: "ES256", x5c: asked.x5c },
        expiresInSeconds: 600,
        additionalJwtPayload: { aud: asked.audience },
      },
      callbacks: { signJwt },
    });
    return created.jar.authorizationRequestJwt;
  },
  // The form that a wallet posts; the library leaves its encoding to the caller.
  "openid4vp write response": async (asked) => {
    const created = await openid4vp.createOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: asked.request,
      authorizationResponsePayload: { vp_token: asked.vp_token },
      callbacks: {},
    });
    const { vp_token, ...rest } = created.authorizationResponsePayload;
    return new URLSearchParams({ ...rest, vp_token: JSON.stringify(vp_token) }).toString();
  },
  "openid4vp read response": async (asked) => {
    const parsed = await openid4vp.parseOpenid4vpAuthorizationResponse({
      authorizationResponse: Object.fromEntries(new URLSearchParams(asked.body)),
      authorizationRequestPayload: asked.request,
      callbacks: {},
    });
    return { presentations: parsed.dcql.presentations, nonce: parsed.expectedNonce };
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
