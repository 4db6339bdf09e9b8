"""Document formats and the offline verifier: pure functions, no I/O, no clock, no global state.

Time, keys and randomness come in as arguments; what must not be relied on raises
`errors.InvalidCredential` with one reason of a closed list. Modules:

signer, trust          one purpose per key, the signed list of trusted keys
card_qr, mobile_qr     the codes on a card and on a phone
status_list, status_list_cwt, status_history   Token Status List, its two forms, its past
sd_jwt, sd_jwt_verification, key_binding       selective disclosure, bound to a phone
sd_jwt_vc                                      the credential a phone shows online
dcql, openid4vp, openid4vp_request_object      what a verifier asks, what a wallet answers
jws, jwk, jose_keys, jwt_dates                 the JOSE beneath them
offline_pack, verifier everything a verifier without network needs, and its verdict
mrz, check_digits      machine-readable lines and numbers of paper documents
lds, face, finger, signature_image, details, optional_details, security_infos, sod
                       the files of a chip, read strictly or, as `leniency` says, leniently
pki, crl, trust_anchors, passive_authentication   the certificates above them, and believing them
pace, secure_messaging, chip_session, chip_reader   opening, reading and writing a chip
chip                   a simulated one
"""
