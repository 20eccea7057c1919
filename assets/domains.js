// The canvas of the Domains tab: a row per thing that is asked for, a column per style, one of them large with the plane of styles below
// it, and the shelf of styles that are liked. Strength and attention are laid over what is there already, so they answer at once; what
// lies between the styles is asked for while one drags.
imaginarium.domains = (root, { trigger, watch, props }) => {
  const { make, link, quiet, icon, narrow, bare, tell, line, studyNote, recipeDetails, describe, currentItem, comparison, openViewer, setPicture, showRun, oneAtATime,
    drawChips, drawStar, drawCells, figures, textPicker } = imaginarium;
  const EMPTY = { ready: "", chips: [], either: [], locks: [], photos: [], rows: [], columns: [], cells: {}, settings: {}, set: 0, done: 0, total: 0, message: "", busy: false, run: 0 };
  const REST_MS = 350; // without a move, after which the rest is asked for
  const NOTHING = { targets: [], together: false, strength: 1, attention: false, locks: [], worn: [] };

  let value = EMPTY, run = 0, set = -1, ready = "", picked = "", timer = 0, turning = 0, waits = false, compared = "", parts = null, unfolded = false;
  let settings = NOTHING, where = 0, row = "", column = "", wished = "", at = null; // ``at``: a place on the plane of styles instead of a column
  let shelf = [], live = { name: "", src: "" }, rested = { name: "", words: [] };

  // ---------------------------------------------------------------- what is meant

  const setting = () => JSON.stringify(settings);
  const look = () => (at ? { row, at, corners: corners() } : { row, column });
  const laid = () => JSON.stringify([settings.strength, settings.attention]); // what decides how a change is laid on
  const name = () => JSON.stringify([value.ready, look(), laid()]);
  const shown = () => JSON.stringify([value.ready, look(), settings.attention]);
  const rowOf = (key) => value.rows.find((one) => one.key === key);
  const columnOf = (key) => value.columns.find((one) => one.key === key);
  const cellAt = (r, c) => value.cells[`${r}/${c}`];
  const cell = () => (at ? null : cellAt(row, column));
  const photoOf = (r) => value.photos.find((one) => one.key === (r || {}).photo);
  const corners = () => value.columns.slice(0, 4).map((one) => one.key);
  const liked = (code) => shelf.find((other) => other.code === code); // equal codes are one style
  const made = (one) => (one && one.item && one.kept === laid() ? one.item : null); // kept, and just as it is shown
  const titleOf = () => {
    const r = rowOf(row), c = columnOf(column) || { title: "", drawn: true };
    return !r ? "" : at ? `${r.title}, between styles` : c.drawn ? `${r.title}, ${c.title.toLowerCase()}` : `${r.title} in ${c.title}`;
  };

  // ---------------------------------------------------------------- the parts of the page

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const keep = quiet("Keep", () => (made(cell()) ? open() : keepIt()), { className: "quiet look-keep" });
  const png = quiet("PNG", () => trigger("export", { what: "picture", look: look(), settings: setting(), bare: bare() }),
    { className: "quiet save-look", title: "Download the whole photo like this, at its own size" });
  const sheet = quiet("Sheet", () => trigger("export", { what: "sheet", bare: bare() }), { className: "quiet save-sheet", title: "Download all as one picture" });

  const star = make("button", { type: "button", className: "star" });
  const holder = make("div", { className: "frame look-holder" });
  const yours = make("figure", { className: "look-figure cell look-yours" }, holder, star);
  const large = make("div", { className: "look-large" }, yours);
  const title = make("h3", { className: "domain-title" });
  const warning = make("p", { className: "hint domain-warning", role: "status" });
  const file = quiet("Style file", () => trigger("export", { what: "style", look: look() }), { className: "quiet look-file", title: "Save the style itself, to share it or to use it elsewhere" });
  const about = make("div", { className: "look-bar" }, make("div", { className: "domain-words" }, title, warning), file);

  const plane = imaginarium.plane("Between four styles", place), pad = plane.node;
  const attention = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0, className: "where-dial", ariaLabel: "Where the network looks" });
  const attended = make("label", { className: "domain-dial", title: "What stays in the light is where the network attends, what is dark it leaves alone" },
    make("span", { textContent: "Where the network looks" }), attention);
  const only = make("input", { type: "checkbox" });
  const masked = make("label", { className: "switch", title: "The change is held to where the network attends" }, only, "Change it only there");
  const between = make("p", { className: "hint", textContent: "Drag over the square: between its four styles lie new ones." });
  const panel = make("div", { className: "keep-panel domain-panel" }, pad, make("div", { className: "domain-dials" }, between, attended, masked));

  const grid = make("div", { className: "domain-grid" });
  const onShelf = make("div", { className: "look-cells", role: "group", ariaLabel: "Styles you like" });
  const none = make("p", { className: "hint", textContent: "☆ on a style puts it here; press one to have it as a column, on any photo." });
  const picker = textPicker("look-picker", (text) => trigger("bring", { text }));
  const add = quiet("Add…", () => picker.click(), { className: "quiet look-add", title: "Add a style's file" });
  const lists = make("div", { className: "look-lists" }, grid, make("div", { className: "look-head" }, make("h3", { textContent: "Styles you like" }), add, picker), none, onShelf);

  const lesson = make("p");
  const own = quiet("Choose a picture", () => document.querySelector("#domains-source .picker").click(), { className: "quiet domain-own" });
  const empty = make("div", { className: "canvas-lesson domain-empty" }, lesson, own);
  const view = make("div", { className: "look-view domain-view", hidden: true }, make("div", { className: "look-left" }, large, about, panel), lists);
  root.replaceChildren(make("div", { className: "stage-head" }, words, make("div", { className: "row saves" }, keep, png, sheet)), bar, view, empty);

  // ---------------------------------------------------------------- controls that lie beside the canvas

  const asked = make("h2");
  const targets = make("div", { className: "look-chips", role: "group", ariaLabel: "What it shall show" });
  const hint = make("p", { className: "hint" });
  const together = make("input", { type: "checkbox" });
  const joined = make("label", { className: "switch", title: "One result that shows all of it, instead of one for each" }, together, "All of it in one picture");
  const strength = make("input", { type: "range", min: 0, max: 1, step: 0.05, className: "tuner-range domain-strength", ariaLabel: "How strong" });
  const strong = make("span", { className: "hint" });
  const locks = make("div", { className: "look-chips", role: "group", ariaLabel: "What must not change" });
  const held = make("div", {}, make("div", { className: "look-head" }, make("h2", { textContent: "Must not change" })), locks,
    make("p", { className: "hint", textContent: "a result that breaks it says so" }));
  const tuner = make("div", { className: "look-tuner" }, make("div", { className: "look-head" }, asked), targets, hint, joined,
    make("div", { className: "look-head" }, make("h2", { textContent: "How strong" }), strong), make("div", { className: "tuner-track plain" }, strength), held);

  function mount() {
    const place = document.getElementById("domains-tuner");
    if (place && !place.contains(tuner)) place.append(tuner);
  }

  // An attribute is asked for, or asked to go, or left as it is; a way to paint or a colour is asked for or not.
  function drawTargets() {
    const said = new Map(settings.targets);
    targets.replaceChildren(...value.chips.map((chip) => {
      const on = said.get(chip.name);
      const label = on === false ? chip.off : chip.on;
      const node = make("button", { type: "button", className: "chip", textContent: label, ariaPressed: String(on !== undefined),
        title: chip.title || label, onclick: () => press(chip) });
      node.dataset.name = chip.name;
      return node;
    }));
  }

  function press(chip) {
    const said = new Map(settings.targets), first = chip.has !== true; // what the photo shows already is asked to go first
    const now = said.get(chip.name);
    const next = now === undefined ? first : chip.off && now === first ? !first : undefined;
    if (next === undefined) said.delete(chip.name); else said.set(chip.name, next);
    for (const group of value.either) if (next && group.includes(chip.name)) group.filter((one) => one !== chip.name && said.get(one)).forEach((one) => said.delete(one));
    turn({ targets: value.chips.map((one) => one.name).filter((one) => said.has(one)).map((one) => [one, said.get(one)]) });
  }

  function drawControls() {
    mount();
    tuner.hidden = !value.chips.length;
    asked.textContent = value.question || "";
    drawTargets();
    hint.textContent = value.chips.some((chip) => chip.off) ? "press again for the opposite; choose none for all" : "choose none for all";
    joined.hidden = !value.chips.some((chip) => chip.off) || settings.targets.length < 2;
    together.checked = settings.together;
    strength.value = settings.strength;
    strong.textContent = `${Math.round(100 * settings.strength)} %`;
    drawChips(locks, value.locks, settings.locks, (chosen) => { settings = { ...settings, locks: chosen }; show(); });
    held.hidden = !value.locks.length;
  }

  // ---------------------------------------------------------------- questions

  const question = oneAtATime((wanted) => trigger("look", { look: look(), settings: setting(), name: wanted }));
  const rest = oneAtATime((wanted) => trigger("rest", { look: look(), settings: setting(), name: wanted }));

  // What the controls say has changed: the canvas gets it as a run. ``translated`` is what Make is told, which begins such a run itself.
  function turn(change) {
    settings = { ...settings, ...change };
    show();
    clearTimeout(turning);
    turning = setTimeout(() => { turning = 0; waits = true; trigger("find", { settings: setting() }); }, REST_MS);
  }

  imaginarium.translated = () => {
    clearTimeout(turning);
    turning = 0;
    return setting();
  };

  function judge() { if (at && value.ready) rest.ask(name()); }

  function choose(r, c) {
    [row, column, at] = [r, c, null];
    show();
  }

  function place(x, y) {
    at = [x, y];
    show();
    question.ask(shown());
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; judge(); }, REST_MS);
  }

  imaginarium.hears.set("domains-look", (answer) => {
    if (answer.src && isHere(answer.name)) { live = answer; show(); }
    question.answered(at ? shown() : answer.name);
  });

  imaginarium.hears.set("domains-rest", (answer) => {
    if (answer.words && isHere(answer.name)) { rested = answer; show(); }
    rest.answered(timer || !at ? answer.name : name()); // while something moves the timer will ask
  });

  imaginarium.hears.set("domains-liked", ({ looks }) => { shelf = looks; show(); });

  const isHere = (other) => { try { return JSON.parse(other)[0] === value.ready; } catch { return false; } };

  strength.addEventListener("input", () => turn({ strength: Number(strength.value) }));
  together.addEventListener("change", () => turn({ together: together.checked }));
  only.addEventListener("change", () => turn({ attention: only.checked }));
  attention.addEventListener("input", () => { where = Number(attention.value); show(); });

  // Where the dot is: where it was put, or at the corner of the column that is shown.
  function here() {
    const corner = corners().indexOf(column);
    return at || (corner < 0 ? [0.5, 0.5] : [corner % 2, Math.floor(corner / 2)]);
  }

  const keepIt = () => trigger("keep", { look: look(), settings: setting() });
  const codeShown = () => (at ? "" : (columnOf(column) || {}).code);

  function like(r, c, on) {
    if (on) trigger("like", { look: on.key });
    else trigger("keep", { look: c ? { row: r, column: c } : look(), settings: setting(), like: true });
  }

  function wear(key) {
    const worn = settings.worn.includes(key) ? settings.worn.filter((one) => one !== key) : [...settings.worn, key];
    wished = worn.includes(key) ? key : "";
    turn({ worn });
  }

  function open() {
    const items = Object.values(value.cells).map(made).filter(Boolean);
    openViewer(items, made(cell()).id, false, (event, wanted) => event === "export" && trigger("export", wanted));
  }

  // ---------------------------------------------------------------- what is shown

  // Of what must not change, what did: said of the strength at which it was measured.
  const broken = (all) => (all || []).filter((one) => !one.good && settings.locks.includes(one.name));

  function cellNode(known, one) {
    const node = known || make("figure", { className: "cell" }, make("button", { type: "button", className: "frame" }), make("figcaption", {}, make("span", { className: "cell-words" })),
      make("img", { className: "ground", alt: "" }), make("img", { className: "light", alt: "" }));
    const [frame, caption] = node.children, it = one.cell, warnings = broken(it && it.words);
    node.id = `cell-${one.key}`;
    setPicture(frame, it ? link(it.src) : "", one.title);
    const on = !at && row === one.row.key && column === one.column.key;
    node.classList.toggle("on", on);
    node.classList.toggle("waiting", !it || (value.busy && it.stale));
    node.classList.toggle("broken", warnings.length > 0);
    lay(node, one.row);
    frame.disabled = !it;
    frame.ariaLabel = one.title;
    frame.ariaPressed = String(on);
    frame.onclick = () => choose(one.row.key, one.column.key);
    caption.firstChild.textContent = warnings.length ? warnings[0].text : (it && it.short) || "";
    node.title = (it ? it.words : []).map((word) => word.text).filter(Boolean).join(", ");
    return node;
  }

  // Photo and attention lie below and above the picture.
  function lay(node, r) {
    const photo = photoOf(r);
    [[".ground", photo && photo.before], [".light", r.where]].forEach(([layer, file]) => {
      const image = node.querySelector(layer), src = link(file);
      image.hidden = !src || node.classList.contains("waiting");
      if (src && image.getAttribute("src") !== src) image.src = src;
    });
  }

  function drawGrid() {
    grid.style.setProperty("--columns", value.columns.length || 1);
    grid.classList.toggle("narrow", value.columns.length > 4);
    const known = new Map([...grid.children].map((node) => [node.id, node]));
    const lines = [headOf(known.get("domain-columns"))];
    let photo = "";
    for (const r of value.rows) {
      if (value.photos.length > 1 && r.photo !== photo) lines.push(personOf(known.get(`photo-${r.photo}`), photoOf(r)));
      photo = r.photo;
      lines.push(rowNode(known.get(`row-${r.key}`), r));
    }
    grid.replaceChildren(...lines);
  }

  function headOf(known) {
    const node = known || make("div", { id: "domain-columns", className: "domain-line domain-head" });
    const marks = new Map([...node.children].map((one) => [one.dataset.key, one]));
    node.replaceChildren(...value.columns.map((c) => {
      const head = marks.get(c.key) || make("div", { className: "domain-column" }, make("span"), make("button", { type: "button", className: "icon star" }));
      head.dataset.key = c.key;
      head.firstChild.textContent = head.firstChild.title = c.title;
      drawStar(head.lastChild, { on: Boolean(liked(c.code)), title: c.title, what: "style", busy: value.busy }, () => like(row, c.key, liked(c.code)));
      return head;
    }));
    return node;
  }

  function personOf(known, photo) {
    const node = known || make("div", { id: `photo-${photo.key}`, className: "domain-photo" }, make("img", { alt: "" }), make("span"));
    node.firstChild.src = link(photo.before);
    node.lastChild.textContent = photo.name;
    return node;
  }

  function rowNode(known, r) {
    const node = known || make("div", { id: `row-${r.key}`, className: "domain-row" }, make("h3"), make("div", { className: "domain-line", role: "group" }));
    node.firstChild.textContent = node.lastChild.ariaLabel = r.title;
    drawCells(node.lastChild, value.columns.map((c) => ({ key: `${r.key}/${c.key}`, title: `${r.title}, ${c.title}`, row: r, column: c, cell: cellAt(r.key, c.key) })), cellNode);
    return node;
  }

  function shelfNode(known, one) {
    const node = known || make("figure", { className: "cell" }, make("button", { type: "button", className: "frame" }), make("input", { className: "title-field shelf-name", maxLength: 60, title: "Rename" }),
      make("button", { type: "button", className: "star" }));
    const [frame, field, mark] = node.children, on = settings.worn.includes(one.key);
    node.id = `cell-${one.key}`;
    setPicture(frame, link(one.src), one.title);
    node.classList.toggle("on", on);
    frame.ariaLabel = on ? `Without ${one.title}` : `${one.title} as a column`;
    frame.title = one.title;
    frame.ariaPressed = String(on);
    frame.onclick = () => wear(one.key);
    field.ariaLabel = `Name of ${one.title}`;
    if (document.activeElement !== field) field.value = one.title;
    field.onchange = () => trigger("rename", { look: one.key, name: field.value });
    field.onkeydown = (event) => { if (event.key === "Enter") field.blur(); };
    drawStar(mark, { on: true, title: one.title, what: "style", busy: value.busy }, () => like("", "", one));
    return node;
  }

  function showLarge() {
    const r = rowOf(row), one = cell(), photo = photoOf(r), before = photo ? link(photo.before) : "";
    const src = at ? (live.src && isHere(live.name) ? live.src : parts && parts.result.src) || before : one ? link(one.src) : before;
    if (compared !== before) {
      const node = comparison({ title: "The result", src: { url: src }, before: photo.before, beforeWords: "photo", animal: "result" });
      const [result, cut] = node.children;
      const ground = make("img", { src: before, alt: "", draggable: false }), light = make("img", { className: "light", alt: "", draggable: false });
      node.prepend(ground);
      cut.before(light);
      holder.replaceChildren(node);
      [parts, compared] = [{ result, light, tag: node.querySelector(".tag.right") }, before];
      result.classList.add("result");
      ground.addEventListener("load", () => yours.style.setProperty("--ratio", ground.naturalWidth / ground.naturalHeight)); // a picture need not be square
    }
    parts.result.src = src;
    parts.light.hidden = !(r && r.where);
    if (r && r.where) parts.light.src = link(r.where);
    parts.tag.textContent = r ? r.title : "result";
    const on = at ? null : liked(codeShown());
    drawStar(star, { on: Boolean(on), title: titleOf() || "This style", what: "style", busy: value.busy }, () => like("", "", on));
    root.dataset.shown = at ? live.name : shown(); // the page's tests wait for these
    root.dataset.asked = shown();
    root.dataset.rested = rested.name;
    root.dataset.rests = name();
  }

  const isToldOf = () => (at ? rested.name === name() : (cell() || {}).laid === laid());
  const wordsOf = () => (at ? rested.words : (cell() || { words: [] }).words);

  function showPad() {
    const keys = corners();
    pad.hidden = between.hidden = keys.length < 4;
    const pictures = keys.map((key) => ({ src: link((cellAt(row, key) || {}).src), title: columnOf(key).title }));
    plane.show(pictures, here(), !at && !keys.includes(column));
    attended.hidden = masked.hidden = !value.rows.some((one) => one.where);
    only.checked = settings.attention;
    panel.hidden = pad.hidden && attended.hidden;
  }

  function show() {
    drawControls();
    view.hidden = !value.photos.length;
    empty.hidden = !view.hidden;
    own.hidden = !value.chips.length || value.photos.length > 0;
    const there = !view.hidden && Boolean(rowOf(row)) && Boolean(at || cell());
    sheet.hidden = !value.sheet;
    [keep, png, about].forEach((node) => { node.hidden = !there; });
    if (view.hidden) {
      root.dataset.due = "true"; // whatever is asked for before there is a photo
      if (root.offsetParent) describe(currentItem(), value);
      return;
    }
    root.dataset.due = String(Boolean(turning) || waits || value.busy);
    root.style.setProperty("--strength", settings.strength);
    root.style.setProperty("--where", where);
    attention.ariaValueText = `${Math.round(100 * where)} %`;
    drawGrid();
    drawCells(onShelf, shelf, shelfNode);
    none.hidden = shelf.length > 0;
    keep.disabled = value.busy;
    keep.textContent = made(cell()) ? "Full size" : "Keep";
    keep.title = made(cell()) ? "See the whole photo large, beside what it was" : "Into the gallery, at the photo's own size";
    title.textContent = titleOf();
    const warnings = broken(wordsOf());
    warning.textContent = warnings.map((one) => one.text).join(", ") || (wordsOf()[0] || { text: "" }).text;
    about.classList.toggle("broken", warnings.length > 0);
    showLarge();
    showPad();
    if (root.offsetParent) describe(currentItem(), value);
  }

  // ---------------------------------------------------------------- what is told of it

  function tale() {
    const all = wordsOf();
    const missing = value.missing && make("p", { className: "hint", textContent: value.missing });
    if (!value.ready || !all.length) return [make("p", { textContent: "What becomes of a photo is told here." }), missing].filter(Boolean);
    const list = make("ul", { className: `words${isToldOf() ? "" : " stale"}` }, ...all.filter((one) => one.text).map((one) => {
      const said = line({ ...one, figure: "" });
      said.classList.toggle("asked", Boolean(one.asked));
      return said;
    }));
    const more = make("details", { open: unfolded }, make("summary", { textContent: "Figures" }), figures(all));
    more.addEventListener("toggle", () => { unfolded = more.open; });
    const recipe = (made(cell()) || value).recipe;
    return [make("h3", { textContent: titleOf() }), list, more, missing, value.study && studyNote(value.study),
      recipe && recipeDetails({ recipe })].filter(Boolean);
  }
  tell(root, tale);

  // ---------------------------------------------------------------- the whole

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    lesson.textContent = value.lesson || "";
    if (value.set !== set) { // values that were restored, or what another kind of picture can be asked for
      settings = { ...NOTHING, ...value.settings };
      set = value.set;
    }
    if (value.ready !== ready) {
      ready = value.ready;
      live = { name: "", src: "" };
    }
    if (value.chosen !== picked) { // of a restored recipe
      picked = value.chosen;
      const cut = picked.lastIndexOf("/");
      if (cut > 0) [row, column, at] = [picked.slice(0, cut), picked.slice(cut + 1), null];
    }
    if (columnOf(wished)) [column, at, wished] = [wished, null, ""]; // it is a column now
    if (!rowOf(row)) row = (value.rows[0] || { key: "" }).key;
    if (!columnOf(column)) [column, at] = [(value.columns[0] || { key: "" }).key, null];
    if (value.run !== run) {
      if (value.busy && narrow() && run) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
      waits = false;
    }
    show();
    askOnce();
  }

  // Who looks is told what changed, too.
  function askOnce() {
    if (root.offsetParent && !value.busy && !timer && at && rested.name !== name()) { question.ask(shown()); judge(); }
  }
  new ResizeObserver(askOnce).observe(root); // the tab was turned to
  watch("value", draw);
  draw();
};
