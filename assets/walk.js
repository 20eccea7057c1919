// The canvas of the Manifold tab: the faces that were found, one picture of the walk large with its slider, the rows below,
// and of four faces the square between them. The slider and the square answer from sprites, without asking the server; of a point
// of the square the very picture then comes from the networks.
imaginarium.point = (root, { watch, props }) => watch("value", () => imaginarium.looked.get(root.closest(".tab-pane").id)(props.value));
imaginarium.looked = new Map(); // by a pane's id: who waits for the picture of a point

imaginarium.walk = (root, { trigger, watch, props }) => {
  const { make, link, quiet, icon, narrow, bare, tell, line, studyNote, oneAtATime, describe, currentItem, recipeDetails, studyBadge, setPicture, showRun } = imaginarium;
  const EMPTY = { faces: [], rows: [], columns: 0, film: null, array: null, done: 0, total: 0, message: "", busy: false, run: 0 };
  const FRAME_MS = 50, PAUSE = 10; // as the films are made: 20 a second, the ends held

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const saves = make("div", { className: "row saves" });
  const faces = make("div", { className: "walk-faces", role: "list", ariaLabel: "Faces" });
  const large = make("canvas", { className: "walk-large", width: 64, height: 64, role: "img" });
  const square = make("canvas", { className: "walk-square", width: 64, height: 64, tabIndex: 0, role: "img",
    title: "Point or drag to look between all four", ariaLabel: "The square between the four faces" });
  const dot = make("span", { className: "walk-dot" });
  const field = make("div", { className: "walk-field", hidden: true }, square, dot);
  const play = icon("▶", "Play the walk (Space)", () => setPlaying(!timer), { className: "icon walk-play" });
  const slider = make("input", { type: "range", min: 0, max: 1, value: 0, step: 1, className: "walk-slider", ariaLabel: "Along the walk" });
  const keep = quiet("Keep this picture", () => trigger("keep", named()), { className: "quiet walk-keep", title: "Into the gallery, from where it can be sent to other tabs" });
  const caption = make("span", { className: "hint walk-caption" });
  const drive = make("div", { className: "walk-drive", hidden: true }, play, slider, keep);
  const view = make("div", { className: "walk-view" }, make("figure", { className: "walk-figure" }, large, caption), field);
  const rows = make("div", { className: "walk-rows" });
  root.replaceChildren(make("div", { className: "stage-head" }, words, saves), bar, faces, view, drive, rows);

  const at = { step: 0, row: 0, point: null };
  let value = EMPTY, timer = 0, beat = 0, shape = "", run = -1, sprites = [];

  const between = () => (value.film ? value.film.between : 1);
  const lastStep = () => (value.film ? value.film.count - 1 : Math.max(value.columns - 1, 0));
  const named = () => (at.point ? { point: at.point, row: at.row } : { step: at.step, row: at.row });

  // ---------------------------------------------------------------- what to save

  const FILES = [["sheet", "Strip", "The walk and its animals as one picture"], ["array", "Square", "All between the four faces as one picture"],
    ["picture", "PNG", "The picture that is shown large"], ["mp4", "MP4", "A film for every player"], ["gif", "GIF", "A film that loops"],
    ["webp", "WebP", "A film that loops, finer than a GIF"]];

  function drawSaves() {
    const ready = { sheet: value.words, array: value.array, picture: value.film, mp4: value.film, gif: value.film, webp: value.film };
    saves.replaceChildren(...FILES.filter(([what]) => ready[what]).map(([what, text, title]) => quiet(text, (event) => {
      event.currentTarget.disabled = true; // until the file is brought: a film takes a moment
      trigger("export", { what, ...named(), bare: bare() });
    }, { className: `quiet save-${what}`, title: `Download. ${title}` })));
  }
  document.addEventListener("brought", () => saves.querySelectorAll("button").forEach((button) => { button.disabled = false; }));

  // ---------------------------------------------------------------- faces and rows

  const saidOf = (face) => [face.words, face.figure].filter(Boolean).join(" · ");

  function drawFaces() {
    const known = new Map([...faces.children].map((node) => [node.dataset.id, node]));
    faces.replaceChildren(...value.faces.map((face) => {
      const node = known.get(face.id) || make("figure", { className: "walk-face", role: "listitem" }, make("div", { className: "frame" }),
        make("div", { className: "frame" }), make("figcaption"));
      node.dataset.id = face.id;
      setPicture(node.children[0], link(face.src), `${face.name}, the photo`);
      node.classList.toggle("exact", Boolean(face.exact)); // a dream is what it was: once is enough
      node.children[0].hidden = Boolean(face.exact);
      setPicture(node.children[1], link(face.found), `${face.name}, found`);
      node.children[1].classList.toggle("waiting", !face.found);
      node.children[2].replaceChildren(make("span", { className: "cell-name", textContent: face.name }),
        make("span", { className: "hint", textContent: saidOf(face), title: saidOf(face) }));
      return node;
    }));
  }

  function layOut() {
    rows.style.setProperty("--columns", value.columns);
    rows.replaceChildren(...value.rows.map((row, number) => make("div", { className: "walk-row", role: "group", ariaLabel: row.label },
      make("span", { className: "walk-label" }, make("span", { textContent: row.label })),
      ...row.cells.map((_, column) => make("button", { type: "button", className: "frame", disabled: true,
        ariaLabel: `${row.label}, frame ${column + 1}`, onclick: () => go(column * between(), number) })))));
  }

  function drawRows() {
    value.rows.forEach((row, number) => {
      const node = rows.children[number];
      const badge = studyBadge(row);
      node.firstChild.replaceChildren(...[make("span", { textContent: row.label, title: row.words.join(", ") }), badge].filter(Boolean));
      row.cells.forEach((cell, column) => {
        const frame = node.children[column + 1];
        frame.disabled = !cell;
        setPicture(frame, link(cell), "");
      });
    });
  }

  // ---------------------------------------------------------------- the picture that is large

  async function loadSprites() {
    const wanted = value.film ? value.film.rows.map((row) => link(row.src)) : [];
    const field = value.array ? link(value.array.src) : "";
    const load = async (src) => { const image = make("img", { src }); await image.decode(); return image; };
    sprites = await Promise.all([field, ...wanted].map((src) => (src ? load(src) : null)));
    showSquare();
    show();
  }

  function paint(canvas, image, x, y, side) {
    if (canvas.width !== side) canvas.width = canvas.height = side;
    canvas.getContext("2d").drawImage(image, x * side, y * side, side, side, 0, 0, side, side);
  }

  function showSquare() {
    const image = sprites[0];
    field.hidden = !value.array || !image;
    if (field.hidden) return;
    square.width = square.height = image.naturalWidth;
    square.getContext("2d").drawImage(image, 0, 0);
  }

  // A point between the square's pictures: the four around it, blended.
  function blend({ across, down }) {
    const image = sprites[0], last = value.array.side - 1, side = image.naturalWidth / value.array.side;
    if (large.width !== side) large.width = large.height = side;
    const pen = large.getContext("2d"), x = Math.min(Math.floor(across * last), last - 1), y = Math.min(Math.floor(down * last), last - 1);
    pen.clearRect(0, 0, side, side);
    pen.globalCompositeOperation = "lighter";
    for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      pen.globalAlpha = (1 - Math.abs(across * last - x - dx)) * (1 - Math.abs(down * last - y - dy));
      pen.drawImage(image, (x + dx) * side, (y + dy) * side, side, side, 0, 0, side, side);
    }
    pen.globalAlpha = 1;
    pen.globalCompositeOperation = "source-over";
  }

  // The very picture of a point.
  let exact = { name: "", image: null };
  const pointName = () => JSON.stringify([value.run, at.row, at.point]);
  const question = oneAtATime((name) => trigger("look", { ...named(), name }));
  const ask = () => { if (at.point && exact.name !== pointName()) question.ask(pointName()); };

  imaginarium.looked.set(root.closest(".tab-pane").id, async ({ name, src }) => {
    if (src) {
      const image = make("img", { src });
      await image.decode();
      exact = { name, image };
    }
    question.answered(at.point ? pointName() : name);
    if (at.point) show();
  });

  function showPoint() {
    const { across, down } = at.point, ready = exact.name === pointName();
    large.dataset.exact = ready ? exact.name : "";
    if (ready) paint(large, exact.image, 0, 0, exact.image.naturalWidth);
    else if (at.row === 0) blend(at.point);
    else if (exact.name.startsWith(`[${value.run},${at.row},`)) paint(large, exact.image, 0, 0, exact.image.naturalWidth);
    caption.textContent = `${at.row ? value.rows[at.row].label : "Face"}, ${Math.round(100 * across)} % across and ${Math.round(100 * down)} % down`;
  }

  // From the film's sprite once it is there, from the strip's own frames before.
  function show() {
    const sprite = value.film && sprites[at.row + 1];
    if (at.point && sprites[0] && value.array) showPoint();
    else if (sprite) {
      const { across, rows: films } = value.film;
      paint(large, sprite, at.step % across, Math.floor(at.step / across), films[at.row].size);
      caption.textContent = captionOf();
    } else showFrame();
    dot.hidden = !at.point;
    if (!at.point) large.dataset.exact = "";
    if (at.point && value.array) {
      const place = (part) => `${(100 * (part * (value.array.side - 1) + 0.5)) / value.array.side}%`; // the faces are in the middle of their corners
      Object.assign(dot.style, { left: place(at.point.across), top: place(at.point.down) });
    }
    slider.max = lastStep();
    slider.value = at.step;
    slider.ariaValueText = captionOf();
    const column = Math.round(at.step / between());
    rows.querySelectorAll(".frame.on").forEach((frame) => frame.classList.remove("on"));
    const node = rows.children[at.row];
    if (node && !at.point && node.children[column + 1]) node.children[column + 1].classList.add("on");
  }

  function showFrame() {
    const node = rows.children[at.row];
    const image = node && node.children[at.step + 1] && node.children[at.step + 1].querySelector("img");
    const sought = value.busy && value.faces.findIndex((face) => face.sought);
    const preview = value.busy && sought >= 0 && faces.children[sought].children[1].querySelector("img");
    const shown = image || preview;
    if (!shown || !shown.complete || !shown.naturalWidth) return;
    paint(large, shown, 0, 0, shown.naturalWidth);
    caption.textContent = image ? captionOf() : `${value.faces[sought].name}, being found`;
  }

  function captionOf() {
    const row = value.rows[at.row];
    const part = lastStep() ? Math.round((100 * at.step) / lastStep()) : 0;
    return row ? `${row.label}, ${part} % of the way` : "";
  }

  function go(step, row = at.row) {
    setPlaying(false);
    Object.assign(at, { step, row, point: null });
    show();
  }

  // There and back as in the films, or round and round in a loop.
  function setPlaying(on) {
    clearInterval(timer);
    timer = 0;
    if (on && value.film) {
      beat = 0;
      at.point = null;
      let direction = 1;
      timer = setInterval(() => {
        if (!root.offsetParent) return setPlaying(false);
        if (beat > 0) { beat -= 1; return; }
        const next = at.step + direction;
        if (value.loop) at.step = (at.step + 1) % value.film.count;
        else if (next < 0 || next > lastStep()) { direction = -direction; beat = PAUSE; }
        else at.step = next;
        show();
      }, FRAME_MS);
    }
    play.textContent = timer ? "❚❚" : "▶";
    play.title = play.ariaLabel = timer ? "Pause (Space)" : "Play the walk (Space)";
  }

  slider.addEventListener("input", () => go(Number(slider.value)));

  function point(event) {
    if (!value.array || (event.type === "pointermove" && !event.buttons && event.pointerType !== "mouse")) return;
    const box = square.getBoundingClientRect();
    const { side } = value.array, part = (from, size) => bounded(((from / size) * side - 0.5) / (side - 1));
    goTo({ across: part(event.clientX - box.left, box.width), down: part(event.clientY - box.top, box.height) });
  }

  const bounded = (part) => Math.round(1000 * Math.max(0, Math.min(1, part))) / 1000;

  function goTo(point) {
    setPlaying(false);
    at.point = point;
    show();
    ask();
  }
  square.addEventListener("pointerdown", (event) => { square.setPointerCapture(event.pointerId); point(event); });
  square.addEventListener("pointermove", (event) => event.buttons && point(event));
  square.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by || !value.array) return;
    event.preventDefault();
    event.stopPropagation();
    const { across, down } = at.point || { across: 0.5, down: 0.5 }, step = 1 / (value.array.side - 1);
    goTo({ across: bounded(across + by[1] * step), down: bounded(down + by[0] * step) });
  });
  root.tabIndex = -1;
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !root.offsetParent || !value.film || event.target.closest("input, textarea, select, button, summary, dialog")) return;
    event.preventDefault();
    setPlaying(!timer);
  });

  // ---------------------------------------------------------------- what is told of it

  function tale() {
    if (!value.faces.length) return [make("p", { textContent: "Choose the pictures on the left and press Make: the walk leads from the first to the last." })];
    const parts = value.faces.filter((face) => face.facts).flatMap((face) => [make("h3", { textContent: face.name }),
      make("ul", { className: "words" }, ...face.facts.map(line))]);
    const study = value.faces.map((face) => face.study).find(Boolean); // they are all of one generator
    const walked = value.words && value.words.length ? [make("h3", { textContent: "The walk" }), make("ul", { className: "words" }, ...value.words.map(line))] : [];
    const recipe = value.recipe ? [recipeDetails({ recipe: value.recipe })] : [];
    return [...parts, ...walked, study && studyNote(study), ...recipe].filter(Boolean);
  }

  // ---------------------------------------------------------------- the whole

  let filmed = "";

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    drawSaves();
    drawFaces();
    const wanted = JSON.stringify([value.run, value.columns, value.rows.map((row) => row.label)]);
    if (wanted !== shape) { layOut(); shape = wanted; }
    drawRows();
    if (value.run !== run) {
      setPlaying(false);
      large.getContext("2d").clearRect(0, 0, large.width, large.height); // what it showed belongs to the walk before
      caption.textContent = "";
      Object.assign(at, { step: 0, row: Math.min(at.row, Math.max(value.rows.length - 1, 0)), point: null });
      if (value.busy && narrow() && run >= 0) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
    }
    drive.hidden = !value.film;
    view.hidden = !value.columns;
    const films = JSON.stringify([value.film && value.film.rows.map((row) => link(row.src)), value.array && link(value.array.src)]);
    if (films !== filmed) {
      filmed = films;
      if (value.film) Object.assign(at, value.place || { step: at.step * between() });
      loadSprites().then(ask);
    } else show();
    if (root.offsetParent) describe(currentItem(), value);
  }
  tell(root, tale);
  watch("value", draw);
  draw();
};
