"use strict";
(() => {
  const form = document.querySelector(".filters");
  const none = document.querySelector(".none");
  const count = form.querySelector("output");
  const cards = [...document.querySelectorAll(".gallery article")];
  const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();
  const gallery = document.querySelector(".gallery");
  // What is said on each card, folded; computed on the first search, since most readers never make one.
  let texts;
  const read = () =>
    (texts ??= new Map(cards.map((card) => [card, fold([...card.querySelectorAll("h3, .tags, dd")].map((part) => part.textContent).join(" "))])));
  // A card holds a rank for each system, and of each sign the places of the systems that it is true of.
  const rank = (card, system) => Number.parseFloat(card.dataset.rank.split(" ")[system]); // NaN without an answer
  const holds = (card, sign, system) => (card.dataset[sign] ?? "").split(" ").includes(system);
  let arranged = "";

  function arrange(order, system) {
    if (`${order} ${system}` === arranged) return;
    arranged = `${order} ${system}`;
    const sign = order === "worst" ? 1 : -1;
    const ranks = new Map(cards.map((card) => [card, rank(card, system)]));
    const answered = cards.filter((card) => !Number.isNaN(ranks.get(card)));
    const sorted = order ? answered.sort((a, b) => sign * (ranks.get(a) - ranks.get(b))) : cards;
    gallery.append(...new Set([...sorted, ...cards])); // moved, not painted in another order: the keyboard follows
  }

  function show() {
    const wanted = new FormData(form);
    const words = fold(wanted.get("query")).split(/\s+/).filter(Boolean);
    let shown = 0;
    const system = wanted.get("system");
    arrange(wanted.get("order"), system);
    for (const card of cards) {
      const fits =
        (!wanted.get("source") || card.dataset.source === wanted.get("source")) &&
        (!wanted.get("seen") || card.dataset.seen === wanted.get("seen")) &&
        (!wanted.get("language") || card.dataset.language === wanted.get("language")) &&
        (!wanted.get("changed") || holds(card, "changed", system)) &&
        (!wanted.get("degenerate") || holds(card, "degenerate", system)) &&
        (!wanted.get("made-up") || holds(card, "madeUp", system)) &&
        words.every((word) => read().get(card).includes(word));
      card.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${cards.length}`;
    none.hidden = shown > 0;
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  none.querySelector("button").addEventListener("click", () => {
    form.reset();
    show();
    form.querySelector("select, input").focus();
  });
  const more = document.querySelectorAll(".more");
  more.forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = button.closest("article").classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Fold answers" : "Whole answers";
    });
  });
  gallery.classList.add("folds");

  form.hidden = false;
  show();
})();
