"use strict";
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const PAGE = 24; // images shown together
  const none = document.querySelector(".gallery").parentElement.querySelector(".none");
  const count = form.querySelector("output");
  const gallery = document.querySelector(".gallery");
  const pages = document.querySelector(".pages");
  const [previous, next] = pages.querySelectorAll("button");
  const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();
  const said = (card) => [...card.querySelectorAll("h3, .tags, dd")].map((part) => part.textContent).join(" ");
  // An entry is what is known of an image: its card, or the file that the card is in.
  const held = [...gallery.querySelectorAll("article")].map((card) => ({ ...card.dataset, id: card.id, card }));
  let entries = held;
  let page = 0;
  let matches = [];

  // A card holds a rank for each system, and of each sign the places of the systems that it is true of.
  const rank = (entry, system) => Number.parseFloat(entry.rank.split(" ")[system]); // NaN without an answer
  const holds = (entry, sign, system) => (entry[sign] ?? "").split(" ").includes(system);
  // Folded on the first search, since most readers never make one.
  const read = (entry) => (entry.folded ??= fold(entry.text ?? said(entry.card)));

  function ordered(found, order, system) {
    if (!order) return found;
    const sign = order === "worst" ? 1 : -1;
    const ranks = new Map(found.map((entry) => [entry, rank(entry, system)]));
    const answered = found.filter((entry) => !Number.isNaN(ranks.get(entry)));
    answered.sort((a, b) => sign * (ranks.get(a) - ranks.get(b)));
    return [...new Set([...answered, ...found])];
  }

  function fitting(wanted) {
    const words = fold(wanted.get("query")).split(/\s+/).filter(Boolean);
    const system = wanted.get("system");
    const found = entries.filter(
      (entry) =>
        (!wanted.get("source") || entry.source === wanted.get("source")) &&
        (!wanted.get("seen") || entry.seen === wanted.get("seen")) &&
        (!wanted.get("language") || entry.language === wanted.get("language")) &&
        (!wanted.get("changed") || holds(entry, "changed", system)) &&
        (!wanted.get("degenerate") || holds(entry, "degenerate", system)) &&
        (!wanted.get("made-up") || holds(entry, "madeUp", system)) &&
        words.every((word) => read(entry).includes(word)),
    );
    return ordered(found, wanted.get("order"), system);
  }

  function turn(to) {
    const last = Math.max(0, Math.ceil(matches.length / PAGE) - 1);
    page = Math.min(Math.max(to, 0), last);
    const now = matches.slice(page * PAGE, (page + 1) * PAGE);
    const missing = [...new Set(now.filter((entry) => !entry.card).map((entry) => entry.shard))];
    const drawn = () => {
      const cards = now.map((entry) => entry.card).filter(Boolean);
      for (const card of gallery.children) card.hidden = true;
      for (const card of cards) card.hidden = false;
      gallery.append(...cards); // moved, not painted in another order: the keyboard follows
      pages.hidden = last === 0;
      pages.querySelector("span").textContent = `page ${page + 1} of ${last + 1}`;
      previous.disabled = page === 0;
      next.disabled = page === last;
    };
    if (missing.length === 0) return drawn();
    const asked = now;
    return Promise.all(missing.map((shard) => rest.load(String(shard).padStart(4, "0"))))
      .then(() => asked === undefined || drawn())
      .catch(rest.failed);
  }

  function show(to = 0) {
    matches = fitting(new FormData(form));
    count.textContent = `${matches.length} of ${entries.length}`;
    none.hidden = matches.length > 0;
    return turn(to);
  }

  // Of a large run, the answers that are in files beside the page.
  const rest = {
    folder: form.dataset.rest,
    asked: new Map(),
    load(name) {
      if (!this.asked.has(name))
        this.asked.set(
          name,
          new Promise((done, failed) => {
            const script = document.createElement("script");
            script.src = `${rest.folder}/${name}.js`;
            script.addEventListener("load", done);
            script.addEventListener("error", failed);
            document.head.append(script);
          }),
        );
      return this.asked.get(name);
    },
    failed() {
      document.querySelector(".apart").hidden = false;
      entries = held;
      if (form.elements.all) form.elements.all.checked = false;
      show();
    },
    index(found) {
      const cards = new Map(held.map((entry) => [entry.id, entry.card]));
      rest.entries = found.map((entry) => ({ ...entry, card: cards.get(entry.id) }));
    },
    cards(number, texts) {
      const wanted = rest.entries.filter((entry) => entry.shard === number);
      texts.forEach((text, place) => {
        if (wanted[place].card) return;
        const holder = document.createElement("template");
        holder.innerHTML = text;
        wanted[place].card = holder.content.querySelector("article");
        unfold(wanted[place].card);
      });
    },
    async use(all) {
      if (all && !rest.entries) await rest.load("index");
      entries = all ? rest.entries : held;
    },
  };
  if (rest.folder) window.mellaAnswers = { index: rest.index, cards: rest.cards };

  async function changed(event) {
    const all = form.elements.all;
    if (all && event?.target.name === "query" && form.elements.query.value.trim()) all.checked = true;
    if (all) await rest.use(all.checked).catch(rest.failed);
    show();
  }

  function unfold(card) {
    const button = card.querySelector(".more");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = card.classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Fold answers" : "Whole answers";
    });
  }

  // A link to an answer opens the page that it is on.
  async function follow() {
    const id = decodeURIComponent(location.hash.slice(1));
    if (!id.startsWith("answer-")) return;
    if (!entries.some((entry) => entry.id === id) && rest.folder) {
      await rest.use(true).catch(rest.failed);
      form.elements.all.checked = entries !== held;
    }
    if (!matches.some((entry) => entry.id === id)) {
      const all = form.elements.all?.checked;
      form.reset();
      if (all) form.elements.all.checked = true;
      show();
    }
    const place = matches.findIndex((entry) => entry.id === id);
    if (place < 0) return;
    await turn(Math.floor(place / PAGE));
    matches[place].card?.scrollIntoView();
  }

  const turned = (by) => async () => {
    await turn(page + by);
    gallery.scrollIntoView();
  };
  previous.addEventListener("click", turned(-1));
  next.addEventListener("click", turned(1));
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  none.querySelector("button").addEventListener("click", () => {
    form.reset();
    changed();
    form.querySelector("select, input:not([type=hidden])").focus();
  });
  held.forEach((entry) => unfold(entry.card));
  gallery.classList.add("folds");
  window.addEventListener("hashchange", follow);
  // On paper there are no pages to turn.
  window.addEventListener("beforeprint", () => matches.forEach((entry) => entry.card && (entry.card.hidden = false)));
  window.addEventListener("afterprint", () => turn(page));
  // The filters stay at the top of the window, and no title may come to lie below them.
  new ResizeObserver(() => {
    const stays = getComputedStyle(form).position === "sticky";
    gallery.style.setProperty("--filters", stays ? `${form.offsetHeight}px` : "0px");
  }).observe(form);

  form.hidden = false;
  show();
  follow();
})();
