"use strict";
(() => {
  const form = document.querySelector(".filters");
  const none = document.querySelector(".none");
  const count = form.querySelector("output");
  const cards = [...document.querySelectorAll(".gallery article")];
  const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();
  const texts = cards.map((card) => fold(card.textContent));

  function show() {
    const wanted = new FormData(form);
    const words = fold(wanted.get("query")).split(/\s+/).filter(Boolean);
    let shown = 0;
    cards.forEach((card, i) => {
      const fits =
        (!wanted.get("source") || card.dataset.source === wanted.get("source")) &&
        (!wanted.get("seen") || card.dataset.seen === wanted.get("seen")) &&
        (!wanted.get("changed") || card.dataset.changed === "true") &&
        words.every((word) => texts[i].includes(word));
      card.hidden = !fits;
      shown += fits;
    });
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
  document.querySelector(".gallery").classList.add("folds");

  form.hidden = false;
  show();
})();
