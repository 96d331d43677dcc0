// Suggestions for the search box. combobox-nav, above, knows the keys and the ARIA; this fetches what it goes through.
const input = document.querySelector("input[data-suggest]");
if (input) {
  const list = document.getElementById("suggestions");
  const status = document.getElementById("suggestions-status");
  const combobox = new Combobox(input, list, { tabInsertsSuggestions: false });
  let request, timer, shown = false;

  function close() {
    clearTimeout(timer);
    request?.abort();
    if (!shown) return;
    shown = false;
    combobox.stop();
    list.hidden = true;
    status.textContent = "";
  }

  async function load() {
    const query = input.value.trim();
    if (!query) return close();
    request?.abort();
    request = new AbortController();
    let html;
    try {
      const answer = await fetch(input.dataset.suggest + "?q=" + encodeURIComponent(query), { signal: request.signal });
      if (!answer.ok) return close();
      html = await answer.text();
    } catch {
      return; // a newer request took over, or nobody answers: the form still works
    }
    if (document.activeElement !== input) return;
    list.innerHTML = html; // of our own server, escaped there
    const count = list.children.length;
    if (!count) return close();
    combobox.clearSelection();
    list.hidden = false;
    if (!shown) {
      shown = true;
      combobox.start();
    }
    status.textContent = count === 1 ? "1 suggestion" : count + " suggestions";
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, 120); // shorter than a pause for thought, longer than a keystroke
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shown) {
      event.preventDefault(); // the first Escape closes the list, the second empties the box
      close();
    } else if (event.key === "ArrowDown" && !shown && input.value.trim()) {
      event.preventDefault();
      load();
    }
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus until the click
  input.addEventListener("blur", close);
  input.form.addEventListener("submit", close);
}
