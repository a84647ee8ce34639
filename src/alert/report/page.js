(() => {
  "use strict";
  const list = document.getElementById("list");
  const form = document.getElementById("filters");
  const openHash = () => {
    const target = document.getElementById(location.hash.slice(1));
    const details = target && target.querySelector("details");
    if (details) details.open = true;
  };
  addEventListener("hashchange", openHash);
  openHash();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("#list > li:not([hidden]) details")) details.open = true;
  });
  if (!list || !form) return;

  const ranks = ["critical", "high", "medium", "low", "informational"];
  const items = Array.from(list.children, (item, place) => {
    const { severity, detections, account, time } = item.querySelector("details").dataset;
    return { item, place, account, severity, detections: detections.trim().split(" "), time: Number(time), text: null };
  });
  const text = document.getElementById("text");
  const detection = document.getElementById("detection");
  const account = document.getElementById("account");
  const order = document.getElementById("order");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const open = document.getElementById("open");

  const visible = () => items.filter((entry) => !entry.item.hidden);
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const boxes = form.querySelectorAll("input[name=severity]");
    const severities = new Set(Array.from(boxes).filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const entry of items) {
      if (words.length && entry.text === null) entry.text = entry.item.textContent.toLowerCase();
      const fits = severities.has(entry.severity)
        && (!detection.value || entry.detections.includes(detection.value))
        && (!account.value || entry.account === account.value)
        && words.every((word) => entry.text.includes(word));
      entry.item.hidden = !fits;
      if (fits) count += 1;
    }
    shown.textContent = count === items.length ? `${count} shown` : `${count} of ${items.length} shown`;
    nothing.hidden = count > 0;
    open.textContent = "Open all shown";
  };
  const sort = () => {
    const by = {
      severity: (a, b) => ranks.indexOf(a.severity) - ranks.indexOf(b.severity) || a.place - b.place,
      new: (a, b) => b.time - a.time || a.place - b.place,
      old: (a, b) => a.time - b.time || a.place - b.place,
    }[order.value];
    list.append(...items.slice().sort(by).map((entry) => entry.item));
  };
  let waiting = 0;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  form.addEventListener("change", (event) => {
    if (event.target === order) sort();
    apply();
  });
  form.addEventListener("reset", () => setTimeout(() => { sort(); apply(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  open.addEventListener("click", () => {
    const closing = open.textContent.startsWith("Close");
    for (const entry of visible()) entry.item.querySelector("details").open = !closing;
    open.textContent = closing ? "Open all shown" : "Close all shown";
  });
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      text.focus();
    } else if (event.key === "Escape" && event.target === text) {
      text.value = "";
      apply();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches("#list > li > details > summary")) {
      const here = visible();
      const at = here.findIndex((entry) => entry.item.contains(event.target));
      const to = here[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (to) {
        event.preventDefault();
        to.item.querySelector("summary").focus();
      }
    }
  });
  form.hidden = false;
  apply();
})();
