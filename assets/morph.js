// The canvases of the Morph tab: a face beside what its attributes were changed to, which answers while a slider moves, and holes
// that are painted over and filled, iteration by iteration. The walk between two photos is drawn by walk.js, classes by studio.js.
imaginarium.answer = (root, { watch, props }) => watch("value", () => imaginarium.answered(props.value));

imaginarium.attributes = (root, { trigger, watch, props }) => {
  const { make, link, quiet, icon, narrow, bare, tell, account, describe, currentItem, comparison, setPicture, showRun, oneAtATime } = imaginarium;
  const EMPTY = { photo: null, sliders: [], done: 0, total: 0, message: "", busy: false, run: 0 };
  const IN_SIGHT = 5; // sliders; the others are under "More"

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const save = quiet("PNG", () => trigger("export", { what: "picture", values: chosen(), bare: bare() }),
    { className: "quiet save-attributes", title: "Download the picture as the sliders are, at the photo's own size" });
  const zoom = quiet("Whole photo", () => { whole = !whole; show(); }, { className: "quiet show-whole" });
  const compared = make("div", { className: "tuned-large" });
  const small = Array.from({ length: 3 }, () => make("figure", { className: "tuned-small" }, make("div", { className: "frame" }),
    make("figcaption", { className: "hint" })));
  const view = make("div", { className: "tuned-view", hidden: true }, compared, make("div", { className: "tuned-small-row" }, ...small));
  const empty = make("p", { className: "canvas-lesson", textContent: "" });
  root.replaceChildren(make("div", { className: "stage-head" }, words, make("div", { className: "row saves" }, zoom, save)), bar, view, empty);

  let value = EMPTY, run = 0, drawn = "", whole = false, live = null, picture = null, shown = "";
  let values = {}; // what was moved, by the attribute's name

  // ---------------------------------------------------------------- sliders

  const dials = make("div", { className: "tuner" }), others = make("details", { className: "tuner-more" }, make("summary"));
  const reset = quiet("Reset", () => { values = {}; drawSliders(); changed(); }, { className: "quiet tuner-reset", title: "Everything as it was found" });
  const list = make("div", { className: "tuner-list" });
  const more = make("div", { className: "tuner-list" });
  others.append(more);
  dials.append(make("div", { className: "tuner-head" }, make("h2", { textContent: "Attributes" }), reset), list, others);

  // They lie beside the canvas, among the controls.
  function mount() {
    const place = document.getElementById("attribute-sliders");
    if (place && !place.contains(dials)) place.append(dials);
  }

  const chosen = () => ({ ...values });
  const valueOf = (slider) => (slider.name in values ? values[slider.name] : slider.found);

  function sliderRow(slider) {
    const named = `${slider.low} to ${slider.high}`;
    const range = make("input", { type: "range", min: -1, max: 1, step: 0.05, ariaLabel: named, className: "tuner-range" });
    const back = icon("↺", `As it was found: ${slider.low} or ${slider.high}`, () => { delete values[slider.name]; settle(); changed(); }, { className: "icon tuner-back" });
    const row = make("div", { className: "tuner-line", style: `--found:${(1 + slider.found) / 2}` },
      make("span", { className: "tuner-low", textContent: slider.low }),
      make("span", { className: "tuner-high", textContent: slider.high }), make("div", { className: "tuner-track" }, range), back);
    row.dataset.name = slider.name;
    function settle() {
      const moved = slider.name in values;
      range.value = valueOf(slider);
      range.ariaValueText = `${valueOf(slider).toFixed(2)}${moved ? "" : ", as found"}`;
      range.title = `${named}: ${range.ariaValueText}`;
      back.style.visibility = moved ? "visible" : "hidden";
      row.classList.toggle("moved", moved);
    }
    range.addEventListener("input", () => { values[slider.name] = Number(range.value); settle(); changed(); });
    settle();
    return row;
  }

  function drawSliders() {
    mount();
    dials.hidden = !value.sliders.length;
    const rows = value.sliders.map(sliderRow);
    list.replaceChildren(...rows.slice(0, IN_SIGHT));
    more.replaceChildren(...rows.slice(IN_SIGHT));
    others.hidden = rows.length <= IN_SIGHT;
    others.open ||= value.sliders.slice(IN_SIGHT).some(({ name: moved }) => moved in values);
    others.firstChild.textContent = `${rows.length - IN_SIGHT} more`;
    reset.disabled = !Object.keys(values).length;
  }

  // ---------------------------------------------------------------- answers while a slider moves

  const name = () => JSON.stringify([value.found, chosen()]);
  const question = oneAtATime((asked) => trigger("look", { values: chosen(), name: asked }));

  function changed() {
    reset.disabled = !Object.keys(values).length;
    if (value.found) question.ask(name());
  }

  // The picture of some values; those of a face that is no longer here are dropped.
  imaginarium.answered = (answer) => {
    if (answer.src && JSON.parse(answer.name || "[0]")[0] === value.found) {
      live = answer;
      show();
    }
    question.answered(name());
  };

  // What Make is told: {attribute: value} of those that were moved.
  imaginarium.tuned = () => JSON.stringify(chosen());

  // ---------------------------------------------------------------- what is shown

  function show() {
    const after = live ? live.src : link(value.after), before = link(value.before);
    view.hidden = !before;
    empty.hidden = Boolean(before);
    if (!before) return;
    const large = whole && value.whole && !live ? value.whole : { before: value.before, after: value.after };
    const named = JSON.stringify([link(large.before)]);
    if (named !== shown) {
      const node = comparison({ title: "Changed", src: { url: after || before }, before: large.before, beforeWords: "photo", animal: "changed" });
      node.style.setProperty("--ratio", whole && value.whole ? value.whole.ratio : 1);
      compared.replaceChildren(node);
      [picture] = node.children;
      shown = named;
    }
    picture.src = whole && value.whole && !live ? link(value.whole.after) : after || before;
    root.dataset.shown = live ? live.name : name(); // the page's tests wait for it
    zoom.hidden = !value.whole;
    zoom.textContent = whole ? "Face only" : "Whole photo";
    zoom.ariaPressed = String(whole);
    const drawnBy = live ? "" : link(value.answer);
    [[before, "photo"], [link(value.network), "as the network knows it"], [drawnBy, "as the network changes it"]].forEach(([src, said], place) => {
      small[place].style.visibility = src ? "visible" : "hidden"; // nothing jumps
      setPicture(small[place].firstChild, src || "", said);
      small[place].lastChild.textContent = said;
    });
  }

  tell(root, () => (value.words ? account(value)
    : [make("p", { textContent: "Put a face on the left. What it has is found, then each slider changes one thing about it; it stays the same person." })]));

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    empty.textContent = value.lesson || "";
    const wanted = JSON.stringify([value.found, value.set]);
    if (wanted !== drawn) { // another face, or values that were restored: else the visitor's own stay
      values = { ...value.values };
      drawn = wanted;
    }
    if (value.run !== run) {
      live = null;
      if (value.busy && narrow() && run) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
    }
    drawSliders();
    save.hidden = !value.found;
    show();
    if (root.offsetParent) describe(currentItem(), value);
  }
  watch("value", draw);
  draw();
};

imaginarium.holes = (root, { trigger, watch, props }) => {
  const { make, link, quiet, narrow, bare, tell, say, account, describe, currentItem, openViewer, setPicture, showRun, brush } = imaginarium;
  const EMPTY = { photo: null, mask: null, candidates: [], done: 0, total: 0, message: "", busy: false, run: 0 };

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const saves = make("div", { className: "row saves" },
    quiet("Sheet", () => trigger("export", { what: "sheet", bare: bare() }), { className: "quiet save-sheet",
      title: "Download the hole and all that fills it as one picture" }),
    quiet("PNG", () => trigger("export", { what: "picture", index: at, bare: bare() }), { className: "quiet save-filled",
      title: "Download the photo with its hole filled, at its own size" }));
  const tools = make("div", { className: "brush-bar", role: "toolbar", ariaLabel: "Paint", hidden: true });
  const painted = make("figure", { className: "brush-figure" });
  const large = make("button", { type: "button", className: "frame holes-large", title: "See it large and compare it with the photo" });
  const caption = make("span", { className: "hint" });
  const result = make("figure", { className: "holes-result", hidden: true }, large, caption);
  const view = make("div", { className: "holes-view" }, painted, result);
  const cells = make("div", { className: "holes-cells", role: "group", ariaLabel: "Candidates" });
  const steps = make("div", { className: "holes-steps", role: "group", ariaLabel: "Iterations" });
  const rows = make("div", { className: "holes-rows", hidden: true }, make("div", {}, make("h3", { textContent: "Candidates" }), cells),
    make("div", {}, make("h3", { textContent: "From iteration to iteration" }), steps));
  const empty = make("p", { className: "canvas-lesson" });

  let value = EMPTY, run = 0, at = 0, step = -1, token = 0, exact = 0, near = false;
  const painter = brush(painted, tools, () => { exact = 0; }, (close) => { near = close; show(); }, (text) => say({ text, error: true }));

  root.replaceChildren(make("div", { className: "stage-head" }, words, make("div", { className: "row saves" }, painter.zoom, saves)), bar, tools, view, rows, empty);

  // What Make is told: the photo, its mask, and whether that is, untouched, the one that came from here.
  imaginarium.mask = () => JSON.stringify({ photo: painter.photo(), data: painter.read(), token: exact });

  // ---------------------------------------------------------------- candidates

  const chosen = () => value.candidates[at];

  function choose(index, iteration = -1) {
    [at, step] = [index, iteration];
    show();
  }

  const kept = () => value.candidates.filter((item) => item.id).map((item) => ({ ...item, src: item.large }));
  function open() {
    const item = chosen();
    if (item && item.id) openViewer(kept(), item.id, false, (event, wanted) => event === "export" && trigger("export",
      { what: "picture", index: value.candidates.findIndex((other) => other.id === wanted.id), bare: bare() }));
  }
  large.addEventListener("click", open);

  function cell(node, item, index) {
    const known = node || make("figure", { className: "cell" }, make("button", { type: "button", className: "frame" }), make("figcaption", {},
      make("span", { className: "cell-name" }), make("span", { className: "cell-words" })));
    const [frame, said] = known.children;
    setPicture(frame, link(item.src), item.title);
    known.classList.toggle("waiting", value.busy && !item.src);
    known.classList.toggle("on", index === at);
    frame.disabled = !item.src;
    frame.ariaLabel = `Candidate ${index + 1}`;
    frame.ariaPressed = String(index === at);
    frame.onclick = () => choose(index);
    said.children[0].textContent = `${index + 1}${item.best ? ", best" : ""}`;
    said.children[1].textContent = item.short;
    known.title = item.words.map((word) => word.text).join(", ");
    return known;
  }

  function show() {
    const item = chosen();
    result.hidden = !item || !item.src;
    rows.hidden = !value.candidates.length;
    cells.replaceChildren(...value.candidates.map((one, index) => cell(cells.children[index], one, index)));
    const past = item ? item.past : [];
    steps.replaceChildren(...past.map((file, number) => {
      const frame = steps.children[number] || make("button", { type: "button", className: "frame" });
      setPicture(frame, link(file), `Iteration ${number + 1}`);
      frame.ariaLabel = frame.title = `Iteration ${number + 1}`;
      frame.ariaPressed = String(number === step);
      frame.classList.toggle("on", number === step || (step < 0 && number === past.length - 1));
      frame.onclick = () => choose(at, number === past.length - 1 ? -1 : number);
      return frame;
    }));
    if (!item || !item.src) return;
    const earlier = step >= 0 && past[step];
    const all = !earlier && item.id && !near; // of the photo, else what the network sees
    setPicture(large, link(earlier || (all ? item.large : item.src)), item.title);
    large.disabled = !item.id;
    result.style.setProperty("--ratio", all ? value.photo.width / value.photo.height : 1); // what the network sees is square
    caption.textContent = `${item.title}${earlier ? `, after iteration ${step + 1}` : item.words.length ? `: ${item.words[0].text}` : ""}`;
    root.dataset.iterations = past.length; // the page's tests wait for it
  }

  tell(root, () => {
    const item = chosen();
    if (item && item.words.length) return account(item);
    return [make("p", { textContent: "Paint over a part of the photo. The networks know what faces look like: they go by what is left of it, and look ten times." }),
      make("p", { className: "hint", textContent: "Nothing outside of the paint changes, not a single pixel." })];
  });

  // ---------------------------------------------------------------- the whole

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    empty.textContent = value.lesson || "";
    empty.hidden = Boolean(value.photo);
    view.hidden = !value.photo;
    const photo = value.photo && { ...value.photo, src: link(value.photo.src) };
    painter.open(photo);
    if (value.mask && value.mask.token !== token) {
      token = value.mask.token;
      painter.load(link(value.mask.src)).then(() => { exact = token; });
    }
    if (value.run !== run) {
      [at, step] = [0, -1];
      if (value.busy && narrow() && run) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
    }
    const best = value.candidates.findIndex((item) => item.best);
    if (value.busy && step < 0 && best >= 0) at = best;
    saves.hidden = !value.sheet;
    show();
    if (root.offsetParent) describe(currentItem(), value);
  }
  watch("value", draw);
  draw();
};
