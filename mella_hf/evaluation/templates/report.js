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
  const rank = (card) => Number(card.dataset.rank);
  const orders = { "": () => 0, worst: (a, b) => rank(a) - rank(b), best: (a, b) => rank(b) - rank(a) };
  let order = "";

  function arrange(wanted) {
    if (wanted === order) return;
    order = wanted;
    gallery.append(...[...cards].sort(orders[order])); // moved, not painted in another order: the keyboard follows
  }

  function show() {
    const wanted = new FormData(form);
    const words = fold(wanted.get("query")).split(/\s+/).filter(Boolean);
    let shown = 0;
    arrange(wanted.get("order"));
    for (const card of cards) {
      const fits =
        (!wanted.get("source") || card.dataset.source === wanted.get("source")) &&
        (!wanted.get("seen") || card.dataset.seen === wanted.get("seen")) &&
        (!wanted.get("changed") || "changed" in card.dataset) &&
        (!wanted.get("degenerate") || "degenerate" in card.dataset) &&
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
    form.querySelector("input").focus();
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
