"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const form = at("form");
  const question = at("question");
  const notice = at("notice");
  const drop = document.querySelector(".drop");
  let image = ""; // in base64
  let shown = ""; // the same as a data URL, for the list of answers

  function tell(text) {
    notice.textContent = text;
    notice.hidden = !text;
  }

  function take(file) {
    if (!file) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      shown = reader.result;
      image = shown.slice(shown.indexOf(",") + 1);
      at("preview").src = shown;
      at("preview").hidden = false;
      at("invite").hidden = true;
      tell("");
    });
    reader.addEventListener("error", () => tell("The file cannot be read; choose another."));
    reader.readAsDataURL(file);
  }

  function part(tag, name, text) {
    const element = document.createElement(tag);
    element.className = name;
    if (text) element.textContent = text;
    return element;
  }

  function answered(asked, answers) {
    const item = document.createElement("li");
    const head = part("div", "asked", "");
    const picture = document.createElement("img");
    picture.src = shown;
    picture.alt = "";
    const words = part("span", "", asked);
    words.dir = question.dir;
    words.lang = question.lang;
    head.append(picture, words);
    item.append(head);
    for (const [name, answer] of Object.entries(answers)) {
      const one = part("div", `one ${name}`, "");
      const text = part("p", "", answer.prediction || "no answer");
      if (answer.prediction) {
        text.dir = answer.attributes.dir;
        if (answer.attributes.lang) text.lang = answer.attributes.lang;
      } else text.className = "cut";
      if (answer.truncated) text.append(part("span", "cut", " […]"));
      one.append(part("h3", "", name), text);
      item.append(one);
    }
    at("none").hidden = true;
    at("answers").prepend(item);
  }

  async function ask() {
    tell("");
    if (!image) return tell("Choose an image first.");
    const asked = question.value.trim();
    if (!asked) return tell("Write a question first.");
    at("ask").disabled = true;
    at("ask").textContent = "Asking …";
    try {
      const reply = await fetch("api/ask", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ image, question: asked }),
      });
      const said = await reply.json();
      if (reply.ok) answered(asked, said.answers);
      else tell(said.error);
    } catch (error) {
      tell(`The server does not answer (${error.message}). Is it still running?`);
    } finally {
      at("ask").disabled = false;
      at("ask").textContent = "Ask both";
    }
  }

  at("file").addEventListener("change", (event) => take(event.target.files[0]));
  for (const kind of ["dragover", "dragleave", "drop"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  document.querySelectorAll(".suggested button").forEach((button) =>
    button.addEventListener("click", () => {
      question.value = button.textContent;
      question.focus();
    }),
  );
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
})();
