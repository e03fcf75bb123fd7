// What true presses of Tab reach, after looked_at.js: "begin" at the top, "go on" before the last one, then "judge".
(act) => {
  const { looks, reached } = self.lookedAt;
  if (act === "begin") {
    self.tabbed = [];
    self.tabbedLooks = new Map();
    document.addEventListener("focusin", ({ target }) => {
      self.tabbed.push(target);
      self.tabbedLooks.set(target, looks(target));
    });
    document.body.tabIndex = -1;
    document.body.focus({ preventScroll: true });
    document.body.removeAttribute("tabindex");
    self.tabbed = [document.body];
    self.tabbedLooks.clear();
    return [];
  }
  if (reached.length < 2) return []; // nowhere to go
  const faults = [];
  const fault = (claim, element) => faults.push(`Tab ${claim}: ${element.outerHTML.slice(0, 160)}`);
  const now = document.activeElement;
  const { top, bottom, width, height } = now.getBoundingClientRect();
  if (!width || !height || bottom <= 0 || top >= innerHeight) fault("goes where one does not see it", now);

  // Each press goes on, over nothing that can be reached; of a group of radio buttons Tab stops at one.
  const presses = self.tabbed.filter((one) => one !== document.body || one === self.tabbed[0]);
  for (const [place, one] of presses.entries()) {
    if (!place || one === self.jumped) continue;
    const before = presses[place - 1];
    if (!(before.compareDocumentPosition(one) & (Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINED_BY))) {
      fault("goes back or nowhere", one);
    }
    const from = before === document.body ? -1 : reached.indexOf(before);
    const over = reached.slice(from + 1, Math.max(reached.indexOf(one), 0)).filter((other) => other.type !== "radio");
    if (over.length) fault("leaves out", over[0]);
    if (!one.matches(":focus-visible") && one === now) fault("is not shown as a key's", one);
  }
  if (act === "go on") {
    self.jumped = reached.filter((one) => one.type !== "radio" || one.checked).at(-2) ?? now;
    self.jumped.focus({ focusVisible: true });
    self.tabbed = [self.jumped];
    return faults;
  }
  now.blur();
  for (const [one, looked] of self.tabbedLooks) if (looks(one) === looked) fault("is not seen", one);
  if (self.tabbed.length < 2 && self.lookedAt.reached.length > 2) fault("does not move", self.jumped);
  return faults;
};
