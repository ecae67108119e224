// Keeps a page up to date while somebody looks at it. The server renders; this fetches the page again when something
// has happened, and puts the parts that are new in the place of the old ones. Without it the page can be read, and its
// forms work, all the same.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const live = document.getElementById("live");
  const parts = (root) => [...root.querySelectorAll("[data-part]")];
  const served = new Map(parts(main).map((part) => [part.id, part.outerHTML]));
  const pause = 400; // milliseconds between two looks, however much happens
  const again = main.dataset.live === "list" ? 5000 : 10000; // without any news: that there is none has to be seen, too
  let said = say(document), lost = false, busy = false, due = false, over = main.dataset.over === "true";

  function say(from) {
    const part = from.querySelector("[data-say]");
    return part ? part.dataset.say : "";
  }

  function tell(text, tone) {
    if (live.textContent !== text) live.textContent = text;
    live.dataset.tone = tone;
  }

  function connected(well) {
    if (!well && !lost) {
      const seen = document.querySelector("footer time");
      tell("Connection lost: this is how it was at " + seen.textContent + ". Trying again.", "lost");
    }
    if (well && lost) tell("Connected again.", "live");
    lost = !well;
    document.body.classList.toggle("stale", lost);
  }

  // Puts a part in the place of the old one. What is open stays open, what was written stays written.
  function put(old, part) {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const range = focused && focused.selectionStart != null ? [focused.selectionStart, focused.selectionEnd] : null;
    const open = [...old.querySelectorAll("details[open]")].map((d) => d.id);
    const written = [...old.querySelectorAll("input:not([type=hidden]), select")].map((f) => [f.id, f.value]);
    old.replaceWith(part);
    const kept = (id) => id && part.querySelector("#" + CSS.escape(id));
    for (const id of open) if (kept(id)) kept(id).open = true;
    for (const [id, value] of written) if (kept(id)) kept(id).value = value;
    if (!focused) return;
    const heir = kept(focused.id);
    if (!heir) {
      main.focus({ preventScroll: true }); // what had the focus is gone
      return;
    }
    heir.focus({ preventScroll: true });
    if (range) heir.setSelectionRange(...range);
  }

  // Somebody who has marked a text wants to copy it.
  function reads(part) {
    const marked = getSelection();
    return !marked.isCollapsed && part.contains(marked.anchorNode);
  }

  async function look() {
    const address = new URL(location.href);
    address.searchParams.delete("told");
    const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.assign(answer.url);
      return;
    }
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts(fresh)) {
      const html = part.outerHTML;
      const old = document.getElementById(part.id);
      if (!old || served.get(part.id) === html || reads(old)) continue;
      served.set(part.id, html);
      put(old, document.adoptNode(part));
    }
    document.title = fresh.title;
    document.querySelector("footer").replaceWith(document.adoptNode(fresh.querySelector("footer")));
    connected(true);
    if (say(document) !== said) tell((said = say(document)), "live");
  }

  async function refresh() {
    due = true;
    if (busy) return;
    busy = true;
    while (due) {
      due = false;
      try {
        await look();
      } catch {
        connected(false);
      }
      await new Promise((done) => setTimeout(done, pause));
    }
    busy = false;
  }

  function follow(address) {
    const events = new EventSource(address);
    for (const kind of main.dataset.kinds.split(" ")) events.addEventListener(kind, refresh);
    events.onopen = refresh;
    events.addEventListener("over", refresh); // an incident may go on
    events.addEventListener("ended", () => {
      over = true;
      events.close();
      refresh();
    });
    events.onerror = () => {
      if (over) return;
      connected(false);
      if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
      setTimeout(() => follow(address), 3000);
    };
  }

  tell("Live", "live");
  if (location.search.includes("told=")) {
    const address = new URL(location.href);
    address.searchParams.delete("told");
    history.replaceState(null, "", address);
  }
  if (main.dataset.events && !over) follow(main.dataset.events);
  if (!over) setInterval(() => document.hidden || refresh(), again);
  document.addEventListener("visibilitychange", () => document.hidden || over || refresh());
})();
