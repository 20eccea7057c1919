// The canvas of the Makeup tab: one look large, the slider from "as the data are" to "keeps who you are" below it, all looks beside it,
// and the shelf of those that are liked. Sliders and looks answer at once from the networks; what changed that should not have is
// measured when they rest.
imaginarium.makeup = (root, { trigger, watch, props }) => {
  const { make, link, quiet, icon, narrow, bare, tell, line, studyNote, recipeDetails, describe, currentItem, comparison, openViewer, setPicture, showRun, oneAtATime,
    drawChips, drawStar, drawCells, figures, textPicker } = imaginarium;
  const EMPTY = { ready: "", cells: [], properties: [], regions: [], settings: {}, set: 0, ends: [], done: 0, total: 0, message: "", busy: false, run: 0 };
  const REST_MS = 350; // without a move, after which the rest is asked for
  const LOW = "as the data are", HIGH = "keeps who you are";

  let value = EMPTY, run = 0, set = -1, ready = "", look = "", beside = false, choosing = false, timer = 0, compared = "", picture = null;
  let settings = { keep: 1, amount: 1, properties: [], regions: [] };
  let shelf = [], live = { name: "", src: "" }, rested = { name: "", cells: {}, ends: [], words: [], biased: [] };

  // ---------------------------------------------------------------- what is meant

  const setting = () => JSON.stringify(settings);
  const name = () => JSON.stringify([value.ready, look, settings]);
  const sameLook = (other) => { try { const [was, which] = JSON.parse(other); return was === value.ready && JSON.stringify(which) === JSON.stringify(look); } catch { return false; } };
  const sameFace = (other) => { try { return JSON.parse(other)[0] === value.ready; } catch { return false; } };
  const mixed = () => typeof look !== "string";
  const cells = () => [...value.cells, ...shelf];
  const cellOf = (key) => cells().find((cell) => cell.key === key);
  const titleOf = (which) => (typeof which === "string" ? (cellOf(which) || { title: "" }).title
    : `${titleOf(which.first)} and ${titleOf(which.second)}`);
  const isLiked = (cell) => Boolean(cell) && shelf.some((other) => other.code === cell.code); // equal codes are one look
  const onShelf = (key) => shelf.some((cell) => cell.key === key);
  const made = (cell) => (cell && cell.item && cell.kept === setting() ? cell.item : null); // kept, and just as it is shown

  // ---------------------------------------------------------------- the parts of the page

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const side = quiet("Side by side", () => { beside = !beside; show(); }, { className: "quiet look-beside", title: "Beside the answer of the network that is as biased as its data" });
  const keep = quiet("Keep", () => (made(cellOf(look)) ? open() : keepIt()), { className: "quiet look-keep" });
  const png = quiet("PNG", () => trigger("export", { what: "picture", look, settings: setting(), bare: bare() }),
    { className: "quiet save-look", title: "Download the photo with this look, at its own size" });
  const sheet = quiet("Sheet", () => trigger("export", { what: "sheet", bare: bare() }), { className: "quiet save-sheet", title: "Download all looks as one picture" });

  const biased = make("figure", { className: "look-figure look-biased", hidden: true }, make("div", { className: "frame" }), make("figcaption", { className: "hint" }));
  const star = make("button", { type: "button", className: "star" });
  const holder = make("div", { className: "frame look-holder" });
  const yours = make("figure", { className: "look-figure cell look-yours" }, holder, star, make("figcaption", { className: "hint" }));
  const large = make("div", { className: "look-large" }, biased, yours);

  const title = make("input", { className: "title-field look-name", maxLength: 60, ariaLabel: "Name of the look" });
  const mix = quiet("Mix…", () => { choosing = !choosing; show(); }, { className: "quiet look-mix", title: "Choose a second look, then slide between the two" });
  const file = quiet("Look file", () => trigger("export", { what: "look", look, settings: setting(), name: title.value }), { className: "quiet look-file", title: "Save the look itself, to share it or to use it elsewhere" });
  const about = make("div", { className: "look-bar" }, title, mix, file);

  const lowEnd = endOf(LOW, 0), highEnd = endOf(HIGH, 1);
  const dial = make("input", { type: "range", min: 0, max: 1, step: 0.01, className: "keep-dial", ariaLabel: "From as the data are to keeps who you are" });
  const said = make("span", { className: "hint keep-said" });
  const chips = make("div", { className: "look-chips", role: "group", ariaLabel: "What to keep" });
  const heart = make("div", { className: "keep-panel" },
    make("div", { className: "keep-row" }, lowEnd, make("div", { className: "keep-track" }, dial,
      make("div", { className: "keep-what" }, make("span", { className: "hint", textContent: "Keep" }), chips, said)), highEnd));

  const firstEnd = mixEnd(), secondEnd = mixEnd();
  const between = make("input", { type: "range", min: 0, max: 1, step: 0.01, className: "mix-dial", ariaLabel: "From the first look to the second" });
  const stopMix = icon("×", "No mix any more", () => choose(look.first), { className: "icon mix-end" });
  const mixer = make("div", { className: "keep-row mix-row", hidden: true }, firstEnd, make("div", { className: "keep-track" }, between), secondEnd, stopMix);

  const grid = make("div", { className: "look-cells", role: "group", ariaLabel: "Looks" });
  const liked = make("div", { className: "look-cells", role: "group", ariaLabel: "Looks you like" });
  const none = make("p", { className: "hint", textContent: "☆ on a look puts it here; it then waits for your next photo." });
  const picker = textPicker("look-picker", (text) => trigger("bring", { text }));
  const add = quiet("Add…", () => picker.click(), { className: "quiet look-add", title: "Add a look's file" });
  const looks = make("div", { className: "look-lists" }, make("h3", { textContent: "Looks" }), grid,
    make("div", { className: "look-head" }, make("h3", { textContent: "Looks you like" }), add, picker), none, liked);

  const empty = make("p", { className: "canvas-lesson" });
  const view = make("div", { className: "look-view", hidden: true }, make("div", { className: "look-left" }, large, about, mixer, heart), looks);
  root.replaceChildren(make("div", { className: "stage-head" }, words, make("div", { className: "row saves" }, side, keep, png, sheet)), bar, view, empty);

  function endOf(text, to) {
    return make("button", { type: "button", className: "keep-end", title: text, ariaLabel: text, onclick: () => turn({ keep: to }) },
      make("div", { className: "frame" }), make("span", { textContent: text }));
  }

  function mixEnd() {
    return make("button", { type: "button", className: "keep-end" }, make("div", { className: "frame" }), make("span"));
  }

  // ---------------------------------------------------------------- controls that lie beside the canvas

  const where = make("div", { className: "look-chips", role: "group", ariaLabel: "Where" });
  const amount = make("input", { type: "range", min: 0, max: 1.5, step: 0.05, className: "tuner-range look-amount", ariaLabel: "How strong" });
  const strength = make("span", { className: "hint" });
  const tuner = make("div", { className: "look-tuner" },
    make("div", { className: "look-head" }, make("h2", { textContent: "Where" })), where,
    make("div", { className: "look-head" }, make("h2", { textContent: "How strong" }), strength), make("div", { className: "tuner-track plain" }, amount),
    make("p", { className: "hint", textContent: "0 is the photo, 1 the look, beyond it more than that" }));

  function mount() {
    const place = document.getElementById("makeup-tuner");
    if (place && !place.contains(tuner)) place.append(tuner);
  }

  function drawControls() {
    mount();
    tuner.hidden = !value.ready;
    drawChips(chips, value.properties, settings.properties, (properties) => turn({ properties }));
    drawChips(where, value.regions, settings.regions, (regions) => turn({ regions }), true);
    where.hidden = where.previousSibling.hidden = value.regions.length < 2;
    dial.value = settings.keep;
    amount.value = settings.amount;
    strength.textContent = settings.amount.toFixed(2);
    const percent = Math.round(100 * settings.keep);
    said.textContent = dial.ariaValueText = `${percent} %`;
    dial.title = "0 % is lambda_U = 0, the network as biased as its data; 100 % holds on to all that is chosen below";
    if (mixed()) between.value = look.share;
  }

  // ---------------------------------------------------------------- questions

  const question = oneAtATime((asked) => trigger("look", { look, settings: setting(), name: asked }));
  const rest = oneAtATime((asked) => trigger("rest", { look, settings: setting(), name: asked }));

  function changed() {
    show();
    if (!value.ready || !look) return;
    question.ask(name());
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; rest.ask(name()); }, REST_MS);
  }

  function turn(change) {
    settings = { ...settings, ...change };
    changed();
  }
  dial.addEventListener("input", () => turn({ keep: Number(dial.value) }));
  amount.addEventListener("input", () => turn({ amount: Number(amount.value) }));
  between.addEventListener("input", () => { look = { ...look, share: Number(between.value) }; changed(); });
  firstEnd.addEventListener("click", () => { look = { ...look, share: 0 }; changed(); });
  secondEnd.addEventListener("click", () => { look = { ...look, share: 1 }; changed(); });

  function choose(key) {
    const from = mixed() ? look.first : look;
    look = choosing && key !== from ? { first: from, second: key, share: 0.5 } : key;
    choosing = false;
    changed();
  }

  imaginarium.hears.set("makeup-look", (answer) => {
    if (answer.src && sameFace(answer.name)) {
      live = answer;
      show();
    }
    question.answered(name());
  });

  imaginarium.hears.set("makeup-rest", (answer) => {
    if (answer.words && sameFace(answer.name)) {
      rested = answer;
      show();
    }
    rest.answered(timer ? answer.name : name()); // while something moves the timer will ask
  });

  imaginarium.hears.set("makeup-liked", ({ looks: all }) => {
    shelf = all;
    if (!mixed() && look && !cellOf(look)) look = value.chosen;
    show();
    askOnce();
  });

  imaginarium.dressed = setting; // what Make is told

  title.addEventListener("change", () => trigger("rename", { look, name: title.value }));
  title.addEventListener("keydown", (event) => { if (event.key === "Enter") title.blur(); });

  const keepIt = () => trigger("keep", { look, settings: setting() });
  const like = (which, cell) => (isLiked(cell) ? trigger("like", { look: cell.key }) : trigger("keep", { look: which, settings: setting(), like: true }));

  function open() {
    const items = value.cells.map(made).filter(Boolean);
    openViewer(items, made(cellOf(look)).id, false, (event, wanted) => event === "export" && trigger("export", wanted));
  }

  // ---------------------------------------------------------------- what is shown

  // A look on this face: as it was asked for when all rested, as it was made, or as the very same look lies in another cell.
  function pictureOf(cell) {
    const asked = cell.setting !== setting() && sameFace(rested.name) && rested.cells[cell.key];
    const twin = value.cells.find((other) => other.code === cell.code);
    return asked || link((twin || cell).src);
  }

  function cellNode(known, cell) {
    const node = known || make("figure", { className: "cell" }, make("button", { type: "button", className: "frame" }),
      make("figcaption", {}, make("span", { className: "cell-name" }), make("span", { className: "cell-words" })), make("button", { type: "button", className: "star" }));
    const [frame, caption, mark] = node.children;
    node.id = `cell-${cell.key}`;
    const seen = pictureOf(cell);
    setPicture(frame, seen, cell.title);
    const on = mixed() ? look.first === cell.key || look.second === cell.key : look === cell.key;
    node.classList.toggle("on", on);
    node.classList.toggle("waiting", (value.busy && cell.run !== value.run && value.cells.includes(cell)) || !seen);
    frame.disabled = !seen;
    frame.ariaLabel = choosing ? `Mix with ${cell.title}` : cell.title;
    frame.ariaPressed = String(on);
    frame.onclick = () => choose(cell.key);
    caption.children[0].textContent = cell.title;
    caption.children[1].textContent = cell.short || "";
    node.title = (cell.words || []).map((word) => word.text).join(", ");
    starOf(mark, cell, cell.title, () => like(cell.key, cell));
    return node;
  }

  const starOf = (mark, cell, title, onclick) => drawStar(mark, { on: isLiked(cell), title, what: "look", busy: value.busy }, onclick);

  function showLarge() {
    const cell = mixed() ? null : cellOf(look);
    const held = cell && (value.cells.some((other) => other.code === cell.code) ? pictureOf(cell) : sameFace(rested.name) && rested.cells[cell.key]);
    const beforeAfter = JSON.stringify([link(value.before), value.worn]);
    const last = compared === beforeAfter && picture.src; // of a liked look there may be no picture on this face yet
    const src = (live.src && sameLook(live.name) ? live.src : held) || last || link(value.before);
    if (compared !== beforeAfter) {
      const node = comparison({ title: "The look", src: { url: src }, before: value.before, beforeWords: "photo", animal: value.worn });
      holder.replaceChildren(node);
      [picture] = node.children;
      compared = beforeAfter;
    }
    picture.src = src;
    const ends = sameLook(rested.name) ? rested.ends : [];
    [lowEnd, highEnd].forEach((end, place) => setPicture(end.firstChild, ends[place] || "", end.title));
    setPicture(biased.firstChild, ends[0] || src, LOW);
    biased.hidden = !beside;
    large.classList.toggle("beside", beside);
    const fault = (all) => { const first = sameLook(rested.name) && all.find((one) => !one.good); return first ? `: ${first.text}` : ""; };
    biased.lastChild.textContent = `${LOW}${fault(rested.biased)}`;
    yours.lastChild.textContent = beside ? `your setting${fault(rested.words)}` : "";
    side.ariaPressed = String(beside);
    side.classList.toggle("on", beside);
    starOf(star, cell, titleOf(look), () => like(look, cell));
    root.dataset.shown = live.name; // the page's tests wait for these
    root.dataset.rested = rested.name;
    root.dataset.asked = name();
  }

  function showMix() {
    mixer.hidden = !mixed();
    if (mixer.hidden) return;
    for (const [end, key] of [[firstEnd, look.first], [secondEnd, look.second]]) {
      const cell = cellOf(key) || {};
      setPicture(end.firstChild, cell.key ? pictureOf(cell) : "", cell.title);
      end.lastChild.textContent = end.title = end.ariaLabel = cell.title || "";
    }
    const percent = Math.round(100 * look.share);
    between.ariaValueText = `${percent} % of the way to the second look`;
  }

  function show() {
    const there = Boolean(value.ready) && cells().length > 0;
    view.hidden = !value.before;
    empty.hidden = !view.hidden;
    [side, png].forEach((node) => { node.hidden = !there; });
    sheet.hidden = !value.sheet;
    drawControls();
    if (!value.before) {
      keep.hidden = true;
      root.dataset.asked = name(); // what is asked for has no answer before there is a face
      return;
    }
    drawCells(grid, value.cells, cellNode);
    drawCells(liked, shelf, cellNode);
    none.hidden = shelf.length > 0;
    const cell = mixed() ? null : cellOf(look);
    keep.hidden = !there;
    keep.disabled = value.busy;
    keep.textContent = made(cell) ? "Full size" : "Keep";
    keep.title = made(cell) ? "See the whole photo large, beside what it was" : "Into the gallery, at the photo's own size";
    about.hidden = heart.hidden = !there;
    if (document.activeElement !== title) title.value = titleOf(look);
    title.readOnly = !onShelf(look);
    title.title = title.readOnly ? "" : "Rename";
    mix.disabled = cells().length < 2;
    mix.textContent = choosing ? "Choose the other…" : "Mix…";
    mix.classList.toggle("on", choosing);
    mix.ariaPressed = String(choosing);
    looks.classList.toggle("choosing", choosing);
    showMix();
    showLarge();
    if (root.offsetParent) describe(currentItem(), value);
  }

  // ---------------------------------------------------------------- what is told of it

  let unfolded = false;

  function tale() {
    if (!value.ready || !rested.words.length) return [make("p", { textContent: value.tale || "Put a face on the left. It gets looks that you can turn from what the data say to what keeps you yourself." })];
    const now = rested.name === name();
    const list = (all) => make("ul", { className: `words${now ? "" : " stale"}` }, ...all.filter((one) => one.text).map((one) => {
      const said = line({ ...one, figure: "" });
      said.classList.toggle("asked", Boolean(one.asked));
      return said;
    }));
    const more = make("details", { open: unfolded }, make("summary", { textContent: "Figures" }), figures(rested.words),
      make("h3", { textContent: "As the data are" }), figures(rested.biased));
    const recipe = (made(mixed() ? null : cellOf(look)) || value).recipe;
    more.addEventListener("toggle", () => { unfolded = more.open; });
    return [make("h3", { textContent: titleOf(look) }), list(rested.words),
      make("h3", { textContent: "As the data are" }), make("p", { className: "hint", textContent: "What the network that is as biased as its data makes of you" }), list(rested.biased),
      more, value.study && studyNote(value.study), recipe && recipeDetails({ recipe })].filter(Boolean);
  }
  tell(root, tale);

  // ---------------------------------------------------------------- the whole

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    empty.textContent = value.lesson || "";
    if (value.set !== set) { // values that were restored, or what another pair can keep
      settings = { ...value.settings };
      set = value.set;
    }
    if (value.ready !== ready) {
      ready = value.ready;
      live = { name: "", src: "" };
      choosing = false;
      const stays = mixed() ? onShelf(look.first) && onShelf(look.second) : onShelf(look); // a look that is liked goes on to the next photo
      if (!stays) look = value.chosen;
    }
    if (value.run !== run) {
      if (value.busy && narrow() && run) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
    }
    show();
    askOnce();
  }

  // Who looks is told what changed, too.
  function askOnce() {
    if (root.offsetParent && !value.busy && value.ready && look && rested.name !== name()) changed();
  }
  new ResizeObserver(askOnce).observe(root); // the tab was turned to
  watch("value", draw);
  draw();
};
