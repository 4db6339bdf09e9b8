"""Bearer tokens: every way to be refused, and that nothing else can happen."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey
from shelf_service import HOLDER, ISSUER, Issuer, new_key

from epassport.actor import Role
from epassport.clock import Clock
from epassport.oidc import LEEWAY_SECONDS, MAX_JWKS_BYTES, MAX_TOKEN_CHARACTERS, MIN_REFRESH_SECONDS
from epassport.problems import Problem, Reason

ES256 = Issuer()


async def refusal(issuer: Issuer, authorization: str | None, clock: Clock | None = None) -> str:
    with pytest.raises(Problem) as refused:
        await issuer.verifier(clock).actor_of(authorization)
    return refused.value.reason


def unsigned(header: object, claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part(header)}.{part(claims)}."


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "Ed25519"])
async def test_a_token_of_the_issuer_names_its_actor(algorithm: str) -> None:
    issuer = Issuer(new_key(algorithm), algorithm)
    token = issuer.token(region="RU-MOW", office="mfc-7", aud=["other", "epassport"])
    actor = await issuer.verifier().actor_of(f"Bearer {token}")
    assert (actor.issuer, actor.subject) == (ISSUER, "olga")
    assert actor.roles == {Role.OPERATOR}  # the gardener is another system's role
    assert (actor.region, actor.office, actor.acting_for) == ("RU-MOW", "mfc-7", None)


async def test_a_citizen_acts_for_the_holder_named_by_the_token() -> None:
    token = ES256.token(roles=["citizen"], holder_id=str(HOLDER))
    assert (await ES256.verifier().actor_of(f"Bearer {token}")).acting_for == HOLDER


async def test_an_officer_acts_for_nobody_whatever_the_token_says() -> None:
    token = ES256.token(holder_id=str(HOLDER))
    assert (await ES256.verifier().actor_of(f"Bearer {token}")).acting_for is None


async def test_no_token_is_told_from_a_bad_one() -> None:
    assert await refusal(ES256, None) == Reason.TOKEN_MISSING


MALFORMED: dict[str, Callable[[], str]] = {
    "another scheme": lambda: "Basic b2xnYTpvbGdh",
    "no token": lambda: "Bearer ",
    "two parts": lambda: "Bearer a.b",
    "too long": lambda: f"Bearer {'a' * (MAX_TOKEN_CHARACTERS + 1)}",
    "not base64url": lambda: "Bearer a+b.c/d.e",
    "no algorithm": lambda: f"Bearer {unsigned({'kid': ES256.key.kid}, {})}",
    "algorithm none": lambda: f"Bearer {unsigned({'alg': 'none', 'kid': ES256.key.kid}, {})}",
    "a header that is a list": lambda: f"Bearer {unsigned([], {})}",
    "no key id": lambda: f"Bearer {unsigned({'alg': 'ES256'}, {})}",
    "critical header": lambda: (
        f"Bearer {unsigned({'alg': 'ES256', 'kid': ES256.key.kid, 'crit': ['b64']}, {})}"
    ),
    "another algorithm than the key's": lambda: (
        f"Bearer {unsigned({'alg': 'RS256', 'kid': ES256.key.kid}, {})}"
    ),
    "no expiry": lambda: f"Bearer {ES256.token(exp=None)}",
    "an expiry that is no number": lambda: f"Bearer {ES256.token(exp='tomorrow')}",
    "an expiry that is true": lambda: f"Bearer {ES256.token(exp=True)}",
    "no audience": lambda: f"Bearer {ES256.token(aud=None)}",
    "no subject": lambda: f"Bearer {ES256.token(sub=None)}",
    "a subject with a line break": lambda: "Bearer " + ES256.token(sub="olga\nadmin"),
    "a subject too long": lambda: f"Bearer {ES256.token(sub='o' * 201)}",
    "roles that are a text": lambda: f"Bearer {ES256.token(roles='operator')}",
    "a region that is a number": lambda: f"Bearer {ES256.token(region=77)}",
    "a holder that is no id": lambda: f"Bearer {ES256.token(roles=['citizen'], holder_id='olga')}",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_token_is_refused(name: str) -> None:
    assert await refusal(ES256, MALFORMED[name]()) == Reason.TOKEN_MALFORMED


async def test_a_shared_secret_never_verifies() -> None:
    """The public key's own text as HMAC key: the classic confusion of algorithms."""
    signed = unsigned({"alg": "HS256", "kid": ES256.key.kid}, {"sub": "olga"}).rstrip(".")
    assert isinstance(ES256.key, ECKey)
    secret = ES256.key.as_pem(private=False)
    tag = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256"))
    forged = f"Bearer {signed}.{tag.decode().rstrip('=')}"
    assert await refusal(ES256, forged) == Reason.TOKEN_MALFORMED


async def test_a_token_signed_by_somebody_else_is_refused() -> None:
    forged = ES256.token(key=new_key("ES256"))
    assert await refusal(ES256, f"Bearer {forged}") == Reason.TOKEN_BAD_SIGNATURE


async def test_a_token_of_an_unknown_key_is_refused() -> None:
    assert await refusal(ES256, f"Bearer {Issuer().token()}") == Reason.TOKEN_UNKNOWN_KEY


async def test_a_key_that_only_agrees_on_keys_verifies_nothing() -> None:
    agreement = OKPKey.generate_key("X25519", auto_kid=True)
    issuer = Issuer(new_key("EdDSA"), "EdDSA", more_keys=[agreement])
    header = unsigned({"alg": "EdDSA", "kid": agreement.kid}, {"sub": "olga"})
    assert await refusal(issuer, f"Bearer {header}c2ln") == Reason.TOKEN_UNKNOWN_KEY


async def test_a_key_set_without_end_is_not_read() -> None:
    issuer = Issuer(padding="a" * MAX_JWKS_BYTES)
    assert await refusal(issuer, f"Bearer {issuer.token()}") == Reason.UNAVAILABLE


async def test_a_token_for_somebody_else_is_refused() -> None:
    token = ES256.token(aud="another-system")
    assert await refusal(ES256, f"Bearer {token}") == Reason.TOKEN_WRONG_AUDIENCE


async def test_a_token_of_another_issuer_is_refused() -> None:
    token = ES256.token(iss="https://elsewhere.test")
    assert await refusal(ES256, f"Bearer {token}") == Reason.TOKEN_WRONG_ISSUER


async def test_a_token_ends_with_its_expiry_and_five_seconds() -> None:
    now = time.time()
    late = ES256.token(exp=now - LEEWAY_SECONDS - 1)
    assert await refusal(ES256, f"Bearer {late}") == Reason.TOKEN_EXPIRED
    just = ES256.token(exp=now - LEEWAY_SECONDS + 2)
    assert (await ES256.verifier().actor_of(f"Bearer {just}")).subject == "olga"


async def test_a_token_begins_five_seconds_before_its_time() -> None:
    now = time.time()
    early = ES256.token(nbf=now + LEEWAY_SECONDS + 2)
    assert await refusal(ES256, f"Bearer {early}") == Reason.TOKEN_NOT_YET_VALID
    just = ES256.token(nbf=now + LEEWAY_SECONDS - 1)
    assert (await ES256.verifier().actor_of(f"Bearer {just}")).subject == "olga"


async def test_tokens_age_with_the_moved_clock(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text(str(timedelta(days=1).total_seconds()))
    token = ES256.token()
    assert await refusal(ES256, f"Bearer {token}", Clock(file)) == Reason.TOKEN_EXPIRED


async def test_made_up_key_ids_do_not_become_requests_to_the_issuer() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    for _ in range(5):
        with pytest.raises(Problem):
            await verifier.actor_of(f"Bearer {Issuer().token()}")
    assert issuer.asked == 1


async def test_a_new_key_of_the_issuer_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.actor_of(f"Bearer {issuer.token()}")
    issuer.key = new_key("ES256")
    monkeypatch.setattr("epassport.oidc.MIN_REFRESH_SECONDS", 0.0)
    assert MIN_REFRESH_SECONDS > 0
    assert (await verifier.actor_of(f"Bearer {issuer.token()}")).subject == "olga"
    assert issuer.asked == 2


async def test_a_token_that_was_good_is_refused_once_the_issuer_has_withdrawn_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuer()
    verifier, token = issuer.verifier(), issuer.token()
    await verifier.actor_of(f"Bearer {token}")
    issuer.key = new_key("ES256")
    monkeypatch.setattr("epassport.oidc.MAX_KEY_AGE_SECONDS", 0.0)
    monkeypatch.setattr("epassport.oidc.MIN_REFRESH_SECONDS", 0.0)
    with pytest.raises(Problem) as refused:
        await verifier.actor_of(f"Bearer {token}")
    assert refused.value.reason in (Reason.TOKEN_UNKNOWN_KEY, Reason.TOKEN_BAD_SIGNATURE)


async def test_a_token_that_was_good_is_refused_with_another_signature() -> None:
    issuer = Issuer()
    verifier, token = issuer.verifier(), issuer.token()
    await verifier.actor_of(f"Bearer {token}")
    signed, _, signature = token.rpartition(".")
    other = f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    with pytest.raises(Problem) as refused:
        await verifier.actor_of(f"Bearer {other}")
    assert refused.value.reason == Reason.TOKEN_BAD_SIGNATURE


async def test_a_token_that_was_good_ends_with_its_expiry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epassport.clock.REREAD_SECONDS", 0.0)
    issuer = Issuer()
    file = tmp_path / "clock"
    file.write_text("0")
    verifier, token = issuer.verifier(Clock(file)), issuer.token()
    await verifier.actor_of(f"Bearer {token}")
    file.write_text(str(timedelta(days=1).total_seconds()))
    with pytest.raises(Problem) as refused:
        await verifier.actor_of(f"Bearer {token}")
    assert refused.value.reason == Reason.TOKEN_EXPIRED


async def test_known_keys_stay_in_use_while_the_issuer_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.actor_of(f"Bearer {issuer.token()}")
    issuer.is_away = True
    monkeypatch.setattr("epassport.oidc.MAX_KEY_AGE_SECONDS", 0.0)
    monkeypatch.setattr("epassport.oidc.MIN_REFRESH_SECONDS", 0.0)
    assert (await verifier.actor_of(f"Bearer {issuer.token()}")).subject == "olga"
    assert issuer.asked == 2


async def test_without_any_key_nobody_can_be_told_from_anybody() -> None:
    issuer = Issuer(is_away=True)
    assert await refusal(issuer, f"Bearer {issuer.token()}") == Reason.UNAVAILABLE


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: b.decode("latin-1"))))
async def test_any_text_is_refused_with_a_reason(text: str) -> None:
    assert await refusal(ES256, f"Bearer {text}") == Reason.TOKEN_MALFORMED
