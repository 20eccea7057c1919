// The Manifold tab's other half: a map of a code bank with the point where one stands, that point large, its neighbours, and new
// points. A click on any of them moves there. The map's dots come once for each map; where the pictures lie on it comes with them.
imaginarium.dots = (root, { watch, props }) => watch("value", () => imaginarium.mapped(props.value));

imaginarium.around = (root, { trigger, watch, props }) => {
  const { make, link, quiet, icon, narrow, bare, tell, account, describe, currentItem, setPicture, showRun } = imaginarium;
  const EMPTY = { here: null, neighbours: [], samples: [], done: 0, total: 0, message: "", busy: false, run: 0 };
  const MAPS = { pca: ["PCA", "The two directions in which the codes differ most"], tsne: ["t-SNE", "What is near stays near; distances mean little"] };
  const AGAIN_MS = 1500; // between two questions whether a map is ready
  const NEAR = 14; // px from a picture's mark that mean the picture

  const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
  const bar = make("progress", { max: 1, value: 0 });
  const back = icon("←", "Back to where you were (B)", () => trigger("back", { by: -1 }), { className: "icon trail-back around-back" });
  const forward = icon("→", "Forward again", () => trigger("back", { by: 1 }), { className: "icon around-forward" });
  const saves = make("div", { className: "row saves" }, back, forward,
    quiet("Sheet", () => trigger("export", { what: "sheet", bare: bare() }), { className: "quiet save-sheet", title: "Download all of it as one picture" }),
    quiet("PNG", () => trigger("export", { what: "picture", kind: "here", index: 0, bare: bare() }), { className: "quiet save-here", title: "Download the picture that is large" }));
  const chart = make("canvas", { className: "map-chart", tabIndex: 0, role: "img", ariaLabel: "Map of the bank; point at it to go there" });
  const choice = make("div", { className: "row map-choice", role: "radiogroup", ariaLabel: "Map" });
  const large = make("div", { className: "frame map-large" });
  const caption = make("span", { className: "hint" });
  const view = make("div", { className: "map-view", hidden: true },
    make("figure", {}, large, caption), make("figure", {}, chart, choice));
  const near = make("div", { className: "map-row", role: "group", ariaLabel: "Neighbours" });
  const fresh = make("div", { className: "map-row", role: "group", ariaLabel: "New ones" });
  near.style.setProperty("--across", 4);
  fresh.style.setProperty("--across", 6);
  const rows = make("div", { className: "map-rows", hidden: true },
    make("div", {}, make("h3", { textContent: "Neighbours, as the generator makes them" }), near), make("div", {}, make("h3", { textContent: "New ones" }), fresh));
  root.replaceChildren(make("div", { className: "stage-head" }, words, saves), bar, view, rows);

  let value = EMPTY, kind = "pca", timer = 0, meant = null;
  const atlas = new Map(); // dots by domain and kind

  const dots = () => atlas.get(`${value.domain}/${kind}`);
  const go = (item) => trigger("go", { kind: item.kind, index: item.index });

  // ---------------------------------------------------------------- pictures

  function cell(node, item) {
    const known = node || make("figure", { className: "cell" }, make("button", { type: "button", className: "frame" }),
      make("button", { type: "button", className: "icon star", textContent: "☆" }));
    const [frame, star] = known.children;
    setPicture(frame, item ? link(item.src) : "", item ? item.title : "");
    frame.disabled = !item;
    star.hidden = !item;
    if (!item) return known;
    frame.title = `${item.words}. Click to go there.`;
    frame.ariaLabel = `Go to ${item.title}`;
    frame.onclick = () => go(item);
    frame.onpointerenter = () => mean(item);
    frame.onpointerleave = () => mean(null);
    drawStar(star, item);
    return known;
  }

  function drawStar(star, item) {
    star.textContent = item.kept ? "★" : "☆";
    star.ariaPressed = String(item.kept);
    star.title = star.ariaLabel = item.kept ? "It is in the gallery" : "Keep it: into the gallery, from where it can be sent on";
    star.onclick = () => item.kept || trigger("keep", { kind: item.kind, index: item.index });
  }

  function fill(row, items, count) {
    const places = Array.from({ length: Math.max(count, items.length) }, (_, place) => cell(row.children[place], items[place]));
    row.replaceChildren(...places);
  }

  const keepHere = make("button", { type: "button", className: "icon star" });

  function drawHere() {
    if (!value.here) return;
    setPicture(large, link(value.here.src), value.here.title);
    large.append(keepHere);
    drawStar(keepHere, value.here);
    caption.textContent = `${value.label}: ${value.here.words}`;
  }

  // ---------------------------------------------------------------- the map

  function mean(item) {
    meant = item;
    drawChart();
  }

  const onMap = () => [value.here, ...value.neighbours, ...value.samples].filter((item) => item && item.at[kind]);

  function drawChart() {
    const side = chart.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!side) return;
    if (chart.width !== Math.round(side * ratio)) chart.width = chart.height = Math.round(side * ratio);
    const pen = chart.getContext("2d"), style = getComputedStyle(root), colour = (name) => style.getPropertyValue(name);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, side, side);
    const disc = (x, y, radius, inside, outside) => {
      pen.beginPath();
      pen.arc(x * side, y * side, radius, 0, 2 * Math.PI);
      if (inside) { pen.fillStyle = inside; pen.fill(); }
      if (outside) { pen.strokeStyle = outside; pen.lineWidth = 2; pen.stroke(); }
    };
    const all = dots() || [];
    pen.globalAlpha = 0.45;
    for (let place = 0; place < all.length; place += 2) disc(all[place], all[place + 1], 1.6, colour("--muted"));
    pen.globalAlpha = 1;
    const looks = { neighbour: [4, colour("--panel"), colour("--ink")], sample: [4.5, colour("--accent"), colour("--panel")], here: [8, colour("--accent"), "#fff"] };
    for (const item of onMap().reverse()) disc(...item.at[kind], ...looks[item.kind]); // here lies on top
    if (meant && meant.at[kind]) disc(...meant.at[kind], 9, null, colour("--accent"));
  }

  function nearest(points, x, y) {
    const apart = points.map(([px, py]) => Math.hypot(px - x, py - y));
    const index = apart.indexOf(Math.min(...apart));
    return { index, apart: apart[index] };
  }

  chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect(), x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    const items = onMap().filter((item) => item.kind !== "here"), flat = dots();
    const picture = items.length ? nearest(items.map((item) => item.at[kind]), x, y) : null;
    if (picture && picture.apart * box.width < NEAR) return go(items[picture.index]);
    if (!flat) return;
    const points = Array.from({ length: flat.length / 2 }, (_, place) => [flat[2 * place], flat[2 * place + 1]]);
    trigger("go", { kind: "dot", index: nearest(points, x, y).index, map: kind });
  });

  function choose(wanted) {
    kind = wanted;
    if (dots() && onMap().length) drawChart();
    else trigger("maps", { kind });
    drawChoice();
  }

  function drawChoice(pending = false) {
    choice.replaceChildren(...Object.entries(MAPS).map(([name, [text, title]]) => quiet(name === kind && pending ? `${text} is being drawn…` : text,
      () => choose(name), { className: `quiet map-${name}`, role: "radio", ariaChecked: String(name === kind), title })));
  }

  // A map arrived, or that it is still being drawn.
  imaginarium.mapped = (map) => {
    clearTimeout(timer);
    if (map.pending && map.kind === kind) timer = setTimeout(() => root.offsetParent && trigger("maps", { kind }), AGAIN_MS);
    if (!map.pending) atlas.set(`${map.domain}/${map.kind}`, map.dots);
    drawChoice(map.pending && map.kind === kind);
    drawChart();
  };
  new ResizeObserver(drawChart).observe(chart);

  // ---------------------------------------------------------------- what is told of it

  tell(root, () => {
    if (!value.here) return [make("p", { textContent: "Codes of training pictures, on a map. Go where you like: nothing that is shown is a training picture." })];
    return [make("h3", { textContent: value.here.title }), make("p", { textContent: value.here.words }),
      ...account({ title: "New ones", words: value.novelty, study: value.study, recipe: value.recipe })];
  });

  // ---------------------------------------------------------------- the whole

  let run = 0;

  function draw() {
    value = props.value || EMPTY;
    showRun(words, bar, value);
    back.disabled = !value.back;
    forward.disabled = !value.forward;
    saves.hidden = !value.here;
    saves.querySelectorAll(".quiet").forEach((button) => { button.hidden = !value.sheet; });
    view.hidden = rows.hidden = !value.here;
    if (value.here) {
      drawHere();
      fill(near, value.neighbours, 0);
      fill(fresh, value.samples, value.count);
    }
    meant = null;
    if (value.run !== run) {
      if (value.busy && narrow() && run) root.scrollIntoView({ behavior: "smooth" });
      run = value.run;
    }
    if (value.here && !dots() && kind !== "pca") choose(kind); // another bank: its map is asked for
    drawChart();
    if (root.offsetParent) describe(currentItem(), value);
  }
  drawChoice();
  watch("value", draw);
  draw();
};
