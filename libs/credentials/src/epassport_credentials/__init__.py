"""Document formats and the offline verifier: pure functions, no I/O, no clock, no global state.

Time, keys and randomness come in as arguments; what must not be relied on raises
`errors.InvalidCredential` with one reason of a closed list. Modules:

signer, trust          one purpose per key, the signed list of trusted keys
card_qr, mobile_qr     the codes on a card and on a phone
status_list            Token Status List
offline_pack, verifier everything a verifier without network needs, and its verdict
mrz, check_digits      machine-readable lines and numbers of paper documents
lds, face, sod, pki    the files of a chip and the certificates above them
passive_authentication, chip   reading a chip and believing it
"""
