// What a person with a keyboard, a magnifier or a screen reader meets on a page; gives the faults as texts.
(language) => {
  const faults = [];
  const fault = (claim, element, more = "") =>
    faults.push(`${claim}: ${element ? element.outerHTML.slice(0, 160) : ""} ${more}`.trim());
  const root = document.documentElement;
  const stolen = document.activeElement;
  if (stolen && stolen !== document.body && !stolen.matches("[autofocus], main, :target, .skip")) {
    fault("a script has moved the focus", stolen);
  }
  if (root.lang !== language) fault("lang", null, root.lang);
  if (!document.title.trim()) fault("no title");
  if (root.scrollWidth > innerWidth) fault("wider than the screen", null, `${root.scrollWidth} > ${innerWidth}`);

  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((one) => one.checkVisibility());
  if (levels.filter((one) => one.tagName === "H1").length !== 1) fault("not one h1");
  levels.reduce((before, one) => {
    const level = Number(one.tagName[1]);
    if (level > before + 1) fault(`a heading leaves levels out after h${before}`, one);
    return level;
  }, 0);

  const seen = new Set();
  for (const one of document.querySelectorAll("[id]")) {
    if (seen.has(one.id)) fault("an id twice", one);
    seen.add(one.id);
  }

  const all = "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable]";
  const looks = (element) => {
    const parts = [element, ...[...element.querySelectorAll("*")].slice(0, 12)];
    if (element.matches("input, select")) parts.push(element.parentElement);
    return parts.map((part) => {
      const is = getComputedStyle(part);
      const outline = is.outlineStyle === "none" ? "" : `${is.outlineWidth} ${is.outlineColor}`;
      return [outline, is.boxShadow, is.stroke, is.strokeWidth, is.r, is.backgroundColor, is.borderColor].join();
    }).join(";");
  };
  const reached = [];
  for (const one of document.querySelectorAll(all)) {
    if (one.tabIndex > 0) fault("a positive tabindex", one);
    if (one.disabled || one.type === "hidden" || !one.checkVisibility({ visibilityProperty: true })) continue;
    if (one.closest("[inert], [aria-hidden=true]") || one.tabIndex < 0) {
      const group = one.closest("[data-roving], .drawing, [role=group]");
      const fine = one.hasAttribute("tabindex") && !one.matches("a[href], button, input, select, textarea, summary");
      if (!fine && !(group && group.querySelector("[tabindex='0']")) && !one.closest("[aria-hidden=true]")) {
        fault("out of the keys' reach", one);
      }
      continue;
    }
    reached.push(one);
  }
  const known = new Map();
  for (const one of reached) {
    const kind = `${one.tagName}.${one.getAttribute("class")}.${one.type}<${one.parentElement.tagName}.${one.parentElement.className}`;
    const often = known.get(kind) ?? 0;
    known.set(kind, often + 1);
    if (often >= 2) continue; // what looks the same is looked at twice
    one.blur();
    const before = looks(one);
    one.focus({ preventScroll: true, focusVisible: true });
    if (document.activeElement !== one) fault("does not take the focus", one);
    else if (looks(one) === before) fault("the focus is not seen", one);
    if (getComputedStyle(one).transitionDuration !== "0s") fault("moves although nothing should", one);
    one.blur();
  }
  if (document.getAnimations().length) fault("moves although nothing should");
  for (const one of document.querySelectorAll("[aria-busy=true], progress:indeterminate")) fault("waits without an end", one);
  const first = reached[0];
  if (document.querySelector("header") && (!first || !first.matches("a.skip[href='#content']") || !document.querySelector("main#content[tabindex='-1']"))) {
    fault("no way past the header", first);
  }

  // In the order of the page; and what stands beside something else does so from the left.
  for (const parent of new Set(reached.map((one) => one.parentElement))) {
    if (parent.matches(".top > .inner")) continue; // on a telephone the languages stand above the menu
    const is = getComputedStyle(parent);
    if (is.flexDirection.endsWith("reverse") || is.flexWrap === "wrap-reverse") fault("keys go backwards", parent);
    if ([...parent.children].some((one) => getComputedStyle(one).order !== "0")) fault("keys go another way", parent);
  }

  for (const one of reached) {
    if (one.matches(".skip") || one.closest("svg")) continue;
    const is = getComputedStyle(one);
    if (one.tagName === "A" && is.display === "inline") continue; // within a text its lines say how high it is
    const ticked = one.matches("input[type=checkbox], input[type=radio]") ? [...(one.labels ?? [])] : [];
    const boxes = [one, ...ticked].map((target) => target.getBoundingClientRect());
    if (boxes.every(({ width, height }) => Math.min(width, height) < 24 - 0.5)) {
      fault("too small", one, boxes.map(({ width, height }) => `${width} × ${height}`).join(", "));
    }
  }
  self.lookedAt = { looks, reached };
  return faults;
};
