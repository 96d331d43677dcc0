// Suggestions for the search box. combobox-nav, above, knows the keys and the ARIA; this fetches what it goes through, and
// closes the list when what it shows does not fit what stands in the box.
const input = document.querySelector("input[data-suggest]");
if (input) {
  const list = document.getElementById("suggestions");
  const status = document.getElementById("suggestions-status");

  // While an input method composes a word the keys are its own: arrows go through its candidates, Enter takes one. 229 is
  // what Safari gives for the Enter that ends it. These listeners come first, so that the combobox never sees such a key.
  // It counts compositions itself, but only while its list is open, so that it may miss the end of one.
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) event.stopImmediatePropagation();
  }, true);
  input.addEventListener("compositionend", () => { combobox.isComposing = false; });

  const combobox = new Combobox(input, list, { tabInsertsSuggestions: false });
  const patience = 3000; // ms for an answer; who typed on meanwhile would be offered films out of nowhere
  let request, timer, shown = false;

  function close() {
    clearTimeout(timer);
    request?.abort();
    request = undefined;
    if (!shown) return;
    shown = false;
    combobox.stop();
    list.hidden = true;
    list.replaceChildren();
    status.textContent = "";
  }

  function announce() {
    const count = list.children.length;
    status.textContent = count === 1 ? "1 suggestion" : count + " suggestions";
  }

  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  // Takes out what does not have all that is typed now. The answer that is on its way may bring it back, for the server
  // forgives typos; but it may also not come.
  function prune() {
    const words = plain(input.value).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
    for (const option of [...list.children]) {
      const text = plain(option.textContent);
      if (!words.length || words.some((word) => !text.includes(word))) option.remove();
    }
    if (list.children.length) announce();
    else hide();
  }

  // Closes the list but not the request in flight.
  function hide() {
    const [kept, wait] = [request, timer];
    request = timer = undefined;
    close();
    [request, timer] = [kept, wait];
  }

  async function load() {
    const query = input.value.trim();
    if (!query) return close();
    request?.abort();
    const mine = request = new AbortController();
    const late = setTimeout(() => mine.abort(), patience);
    let html;
    try {
      const answer = await fetch(input.dataset.suggest + "?q=" + encodeURIComponent(query), { signal: mine.signal });
      if (answer.ok) html = await answer.text();
    } catch {
      // No answer, or not in time, or it is not wanted any more: distinguished below. The form works without.
    } finally {
      clearTimeout(late);
    }
    if (mine !== request) return; // a newer request took over
    request = undefined;
    if (!html || document.activeElement !== input) return close();
    list.innerHTML = html; // of our own server, escaped there
    if (!list.children.length) return close();
    combobox.clearSelection();
    list.hidden = false;
    if (!shown) {
      shown = true;
      combobox.start();
    }
    announce();
  }

  input.addEventListener("input", () => {
    if (shown) prune();
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
  list.addEventListener("combobox-commit", () => setTimeout(close)); // once the link has been followed
  input.addEventListener("blur", close);
  input.form.addEventListener("submit", close);
  // A page that is kept for the way back is kept as it stood: without a list, or with a search that came late.
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) close(); });
}
