"use strict";

const decision = document.getElementById("decision");
const reason = document.getElementById("reason");
const confirmation = document.getElementById("confirm");
const told = document.getElementById("told");
const likeness = document.getElementById("likeness");
const APPLICANT = 0, CANDIDATE = 1;
const TURN_DEGREES = 5;
// One zoom for both, so that ridges are compared at one size; each side has a place of its own, as
// no finger is put down twice at the same spot and angle.
let zoomed = 1;
const places = [{ x: 0, y: 0, turn: 0 }, { x: 0, y: 0, turn: 0 }];
// One key for one decision of one person: sent again after a lost answer, it counts once.
const idempotencyKey = crypto.randomUUID();
let verdict = null;

const all = (selector) => [...document.querySelectorAll(selector)];

function sideOf(element) {
  return element.closest(".pane").dataset.side === "0" ? APPLICANT : CANDIDATE;
}

function draw() {
  document.body.style.setProperty("--zoom", zoomed); // marks grow and stay as thin as they were
  for (const each of all(".moved")) {
    const { x, y, turn } = places[sideOf(each)];
    const turned = turn === 0 ? "" : ` rotate(${turn}deg)`;
    each.style.transform = `translate(${x}px, ${y}px) scale(${zoomed})${turned}`;
  }
}

function zoom(factor) {
  const before = zoomed;
  zoomed = Math.min(8, Math.max(1, zoomed * factor));
  for (const place of places) { // what is in the middle stays there
    place.x *= zoomed / before;
    place.y *= zoomed / before;
  }
  draw();
}

function whole() {
  zoomed = 1;
  for (const place of places) place.x = place.y = place.turn = 0;
  draw();
}

function move(x, y, sides) {
  for (const side of sides) {
    places[side].x += x;
    places[side].y += y;
  }
  draw();
}

function turn(degrees) {
  places[CANDIDATE].turn += degrees;
  draw();
}

function arrow(x, y, event) {
  move(x, y, event.shiftKey ? [CANDIDATE] : [APPLICANT, CANDIDATE]);
}

function press(group, chosen) {
  for (const each of group) each.setAttribute("aria-pressed", String(each === chosen));
}

function showFinger(button) {
  press(all("#fingers button"), button);
  for (const each of all("figure[data-finger]")) {
    each.hidden = each.dataset.finger !== button.dataset.finger;
  }
}

function showCandidate(button) {
  press(all("#candidates button"), button);
  for (const each of all(".pane")) {
    each.hidden = each.dataset.side !== "0" && each.dataset.side !== button.dataset.side;
  }
}

function nextFinger(step) {
  const buttons = all("#fingers button");
  const at = buttons.findIndex((each) => each.getAttribute("aria-pressed") === "true");
  showFinger(buttons[(at + step + buttons.length) % buttons.length]);
}

function toggleMarks() {
  const hidden = document.body.classList.toggle("no-marks");
  document.getElementById("marks").setAttribute("aria-pressed", String(!hidden));
}

function choose(button) {
  verdict = button.dataset.verdict;
  press(all(".verdict"), button);
  const reasons = button.dataset.reasons.split(" ");
  for (const option of reason.options) {
    option.hidden = option.disabled = !reasons.includes(option.value);
  }
  reason.value = reasons[0];
  reason.disabled = confirmation.disabled = false;
  confirmation.focus(); // so that Enter records, whatever was clicked before
}

function chooseByKey(button) {
  if (button.disabled) return;
  const other = reason.selectedIndex + 1;
  const again = verdict === button.dataset.verdict && reason.options[other]?.disabled === false;
  if (again) reason.selectedIndex = other;
  else choose(button);
}

async function record() {
  if (verdict === null || confirmation.disabled) return;
  confirmation.disabled = true;
  const answer = await fetch(`/v1/adjudications/${decision.dataset.case}/decisions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    body: JSON.stringify({ verdict, reason_code: reason.value }),
  }).catch(() => null);
  if (answer !== null && answer.ok) {
    told.textContent = decision.dataset.recorded;
    for (const each of [...all(".verdict"), reason]) each.disabled = true;
    document.getElementById("back").focus(); // Enter leads on to the other cases
    await showLikeness((await answer.json()).token);
    return;
  }
  const problem = answer === null ? null : await answer.json().catch(() => null);
  told.textContent = `${decision.dataset.refused}: ${problem?.reason ?? "network"}`;
  confirmation.disabled = answer !== null && answer.status < 500;
}

// Only now: who has seen what the engine thinks looks at the pictures with other eyes.
async function showLikeness(token) {
  const path = `/v1/adjudications/${decision.dataset.case}/score-classes`;
  const answer = await fetch(`${path}?after=${encodeURIComponent(token)}`).catch(() => null);
  if (answer === null || !answer.ok) return;
  const words = decision.dataset;
  const classes = (await answer.json()).score_classes.map((each, index, { length }) =>
    length > 1 ? `${index + 1} – ${words[each]}` : words[each]);
  if (classes.length > 0) likeness.textContent = `${words.engine}: ${classes.join(", ")}`;
}

const keys = {
  "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": whole,
  ArrowLeft: (event) => arrow(40, 0, event), ArrowRight: (event) => arrow(-40, 0, event),
  ArrowUp: (event) => arrow(0, 40, event), ArrowDown: (event) => arrow(0, -40, event),
  BracketLeft: () => turn(-TURN_DEGREES), BracketRight: () => turn(TURN_DEGREES),
  KeyM: toggleMarks, KeyS: () => chooseByKey(all(".verdict")[0]), KeyD: () => chooseByKey(all(".verdict")[1]),
  Enter: record,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target === reason) return;
  if (event.key === "Tab" && event.target === document.body) {
    nextFinger(event.shiftKey ? -1 : 1);
    event.preventDefault();
    return;
  }
  const candidate = document.querySelector(`#candidates [data-side="${CSS.escape(event.key)}"]`);
  // Letters by their place, as a Russian keyboard writes others there.
  const done = candidate ? () => showCandidate(candidate) : keys[event.key] ?? keys[event.code];
  if (done && !(event.key === "Enter" && ["BUTTON", "A"].includes(event.target.tagName))) {
    done(event);
    event.preventDefault();
  }
});

for (const each of all("#fingers button")) each.addEventListener("click", () => showFinger(each));
for (const each of all("#candidates button")) {
  each.addEventListener("click", () => showCandidate(each));
}
for (const each of all(".verdict")) each.addEventListener("click", () => choose(each));
document.getElementById("marks").addEventListener("click", toggleMarks);
confirmation.addEventListener("click", record);

for (const each of all(".picture")) {
  each.addEventListener("wheel", (event) => {
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
    event.preventDefault();
  });
  each.addEventListener("pointermove", (event) => {
    if (event.buttons === 1) move(event.movementX, event.movementY, [sideOf(each)]);
  });
}
