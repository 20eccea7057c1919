// The page's own behaviour: source, canvas, inspector and strip are drawn here from the values that Python sends.
// Every text reaches the page through textContent, so a file name can never become markup.
window.imaginarium = (() => {
  "use strict";

  const byId = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name in node && name !== "list") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  const link = (file) => (file ? file.url : "");
  const narrow = () => window.innerWidth < 720;
  const quiet = (text, onclick, more = {}) => make("button", { type: "button", className: "quiet", textContent: text, onclick, ...more });
  const icon = (text, label, onclick, more = {}) =>
    make("button", { type: "button", className: "icon", textContent: text, title: label, ariaLabel: label, onclick, ...more });

  function download(file, name) {
    const anchor = make("a", { href: link(file), download: name || file.orig_name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  }

  // ---------------------------------------------------------------- what this browser remembers

  const TOKEN = "imaginarium-workspace", BARE = "imaginarium-without-recipe";

  // A browser may forbid it; the studio then works for this visit only.
  function remembered(key) {
    try { return localStorage.getItem(key) || ""; } catch { return ""; }
  }

  function remember(key, value) {
    try { localStorage.setItem(key, value); } catch { /* see above */ }
  }

  const bare = () => remembered(BARE) === "yes";

  // What the page brings along: the token of the visitor's workspace, and a recipe if a link led here.
  function arrival() {
    const address = new URL(location.href);
    const recipe = address.searchParams.get("r") || "";
    if (recipe) {
      address.searchParams.delete("r");
      history.replaceState(null, "", address);
    }
    return JSON.stringify({ token: remembered(TOKEN), link: recipe });
  }

  // ---------------------------------------------------------------- one sentence at the bottom

  let toastTimer = 0;

  function say(note) {
    const old = byId("toast");
    if (old) old.remove();
    if (!note || !note.text) return;
    const toast = make("div", { id: "toast", role: note.error ? "alert" : "status", className: note.error ? "error" : "" },
      make("span", { textContent: note.text }), note.undo && quiet("Undo", () => edit("undo")),
      icon("×", "Close", () => toast.remove()));
    byId("studio").append(toast);
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => toast.remove(), note.error ? 20000 : 8000);
  }

  async function copy(text, said) {
    try {
      await navigator.clipboard.writeText(text);
      say({ text: said });
    } catch { // without https a page may not write to the clipboard: the artist can
      const area = make("textarea", { className: "paste-area", value: text, readOnly: true });
      dialog("Copy this", area);
      area.select();
    }
  }

  // ---------------------------------------------------------------- source

  // A tab with two halves has two source cards; where none is in sight the first is meant.
  const meant = (selector) => inSight(selector) || document.querySelector(selector);

  // Everything that arrives (chosen, dropped, pasted, taken) goes through gradio's own upload: it checks size and place. ``near`` is
  // where it was dropped or chosen: a second card of a tab lies in an ``.own-drop`` and keeps what comes to it.
  function send(files, near) {
    const own = near && near.closest && near.closest(".own-drop");
    const button = own ? own.querySelector(".photo-upload") : meant(".tab-pane.on .photo-upload");
    const input = button && button.previousElementSibling; // gradio keeps the button's file input before it
    const list = [...files].filter((file) => file instanceof File);
    if (!input || !list.length) return;
    const transfer = new DataTransfer();
    list.forEach((file) => transfer.items.add(file));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    const card = own ? own.querySelector(".drop-card") : meant(".tab-pane.on .drop-card");
    if (card) card.classList.add("reading");
  }

  function source(root, { trigger, watch, props }) {
    const picker = make("input", { type: "file", accept: "image/*,.heic,.heif,.avif", multiple: true, hidden: true, className: "picker" });
    picker.addEventListener("change", () => { send(picker.files, root); picker.value = ""; });
    const people = make("div", { className: "people", role: "list", ariaLabel: "Photos" });
    const samples = make("div", { className: "samples" });
    const note = make("p", { className: "note", role: "status" });
    const title = make("p", { className: "drop-title" });
    const card = make("div", { className: "drop-card" },
      title,
      make("p", { className: "hint", textContent: "or paste them, or a picture made here to restore its settings" }),
      make("div", { className: "row" },
        make("button", { type: "button", className: "quiet choose-files", textContent: "Choose files", onclick: () => picker.click() }),
        make("button", { type: "button", className: "quiet open-camera", textContent: "Camera", onclick: () => openCamera(root) }),
        quiet("Recipe", openPaste, { className: "quiet open-paste", title: "Paste a recipe or a link" })));
    root.replaceChildren(picker, card, note, people, samples);

    function draw() {
      const empty = { photos: [], samples: [], subject: "people", note: null };
      const value = props.value && props.value.photos ? props.value : empty; // a card that was folded away may have none yet
      title.textContent = value.title || `Drop photos of ${value.subject}`;
      card.classList.remove("reading");
      note.textContent = value.note ? value.note.text : "";
      note.classList.toggle("error", Boolean(value.note && value.note.error));
      people.replaceChildren(...value.photos.map((photo) => personRow(photo, trigger)));
      samples.replaceChildren(...sampleRow(value.samples, trigger));
    }
    watch("value", draw);
    draw();
  }

  function sampleRow(samples, trigger) {
    if (!samples.length) return [];
    const buttons = samples.map((sample) => make("button", {
      type: "button", className: "sample", title: sample.title, ariaLabel: `Use the sample ${sample.title}`,
      onclick: () => trigger("sample", { name: sample.name }),
    }, make("img", { src: link(sample.src), alt: "" })));
    return [make("span", { className: "hint", textContent: "Samples" }), ...buttons];
  }

  function personRow(photo, trigger) {
    const open = () => openChooser(photo, trigger);
    const row = make("div", { className: "person", role: "listitem" },
      make("button", { type: "button", className: "thumb", title: "See the photo and choose the face", onclick: open },
        make("img", { src: link(photo.thumb || photo.src), alt: photo.name })),
      make("div", { className: "person-words" },
        make("span", { className: "person-name", textContent: photo.name, title: photo.name }),
        make("span", { className: photo.trouble ? "hint error" : "hint", textContent: photo.words })),
      make("button", { type: "button", className: "icon", textContent: "×", title: "Remove", ariaLabel: `Remove ${photo.name}`,
        onclick: () => trigger("remove", { photo: photo.id }) }));
    const extras = make("div", { className: "person-extras" });
    if (photo.faces.length > 1) {
      extras.append(...photo.faces.map((face) => make("button", {
        type: "button", className: "face" + (face.index === photo.chosen ? " on" : ""), title: `Person ${face.index + 1}`,
        ariaLabel: `Choose person ${face.index + 1}`, ariaPressed: String(face.index === photo.chosen),
        onclick: () => trigger("choose", { photo: photo.id, face: face.index }),
      }, make("img", { src: link(face.thumb), alt: "" }))));
    }
    if (photo.trouble) {
      extras.append(
        make("button", { type: "button", className: "quiet", textContent: "Click the eyes", onclick: open }),
        make("button", { type: "button", className: "quiet", textContent: "Use the centre",
          onclick: () => trigger("centre", { photo: photo.id }) }));
    }
    if (extras.childElementCount) row.append(extras);
    return row;
  }

  function dialog(title, ...children) {
    const close = make("button", { type: "button", className: "icon", textContent: "×", ariaLabel: "Close" });
    const box = make("dialog", { className: "studio-dialog", ariaLabel: title },
      make("header", {}, make("h2", { textContent: title }), close), ...children);
    close.addEventListener("click", () => box.close());
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    box.addEventListener("close", () => box.remove());
    byId("studio").append(box);
    box.showModal();
    return box;
  }

  // The photo large: a click on a face chooses it, two clicks elsewhere are the two eyes.
  function openChooser(photo, trigger) {
    const marks = [];
    const image = make("img", { src: link(photo.src), alt: photo.name, draggable: false });
    const area = make("div", { className: "chooser" }, image);
    const help = make("p", { className: "hint", textContent: photo.faces.length
      ? "Click a face to choose it, or click both eyes yourself." : "Click the two eyes, one after the other." });
    const box = dialog(photo.name, help, area, make("div", { className: "row" },
      make("button", { type: "button", className: "quiet", textContent: "Use the centre",
        onclick: () => { trigger("centre", { photo: photo.id }); box.close(); } })));
    photo.faces.forEach((face) => {
      const [x, y, w, h] = face.box.map((part) => `${100 * part}%`);
      area.append(make("button", { type: "button", className: "face-box" + (face.index === photo.chosen ? " on" : ""),
        ariaLabel: `Person ${face.index + 1}`, style: `left:${x};top:${y};width:${w};height:${h}`,
        onclick: (event) => {
          if (marks.length) return;
          event.stopPropagation();
          trigger("choose", { photo: photo.id, face: face.index });
          box.close();
        } }));
    });
    area.addEventListener("click", (event) => {
      const frame = image.getBoundingClientRect();
      const point = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
      marks.push(point);
      area.append(make("span", { className: "eye-mark", style: `left:${100 * point[0]}%;top:${100 * point[1]}%` }));
      help.textContent = "Now the other eye.";
      if (marks.length === 2) {
        trigger("eyes", { photo: photo.id, eyes: marks });
        setTimeout(() => box.close(), 250);
      }
    });
  }

  function openPaste() {
    const area = make("textarea", { className: "paste-area", ariaLabel: "Recipe or link", placeholder: "A recipe or a link from a studio" });
    const box = dialog("Restore from a recipe", area, make("div", { className: "row" },
      make("button", { type: "button", className: "loud", id: "restore-paste", textContent: "Restore",
        onclick: () => { shelf.trigger("recipe", { text: area.value }); box.close(); } })));
    area.focus();
  }

  async function openCamera(near) {
    const video = make("video", { autoplay: true, playsInline: true, muted: true });
    const words = make("p", { className: "hint", textContent: "Waiting for the camera…" });
    const take = make("button", { type: "button", className: "loud", textContent: "Take the photo", disabled: true });
    const box = dialog("Camera", words, video, make("div", { className: "row" }, take));
    let stream = null;
    box.addEventListener("close", () => stream && stream.getTracks().forEach((track) => track.stop()));
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch {
      words.textContent = "The browser gives no camera here: allow it in the address bar, or choose a file instead.";
      return;
    }
    video.srcObject = stream;
    words.textContent = "Look into the camera.";
    take.disabled = false;
    take.addEventListener("click", () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => { send([new File([blob], "camera.png", { type: "image/png" })], near); box.close(); }, "image/png");
    });
  }

  // ---------------------------------------------------------------- canvas

  // The picture that is looked at: one of ``items``. It is drawn over the canvas in sight; ``send`` triggers events of the canvas
  // that the picture is from.
  const viewer = { items: [], index: -1, node: make("div", { className: "viewer", hidden: true }), inStrip: false, send: () => {} };
  const canvases = []; // redraw what the gallery changed: the stars

  const inSight = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent);

  function stage(root, { trigger, watch, props }) {
    const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
    const bar = make("progress", { max: 1, value: 0 });
    const send = (event, wanted) => trigger(event, event === "export" ? { ...wanted, bare: bare() } : wanted);
    const stages = quiet("Stage by stage", () => send("stages"), { className: "quiet get-stages",
      title: "The plain GAN, its K-GAN and the translation of both, face by face" });
    const sheet = quiet("Sheet", () => send("export", { what: "sheet" }), { className: "quiet get-sheet", title: "Download all as one picture" });
    const zip = quiet("Zip", () => send("export", { what: "zip" }), { className: "quiet get-zip", title: "Download every picture in one file" });
    const head = make("div", { className: "stage-head" }, words, make("div", { className: "row" }, stages, sheet, zip));
    const trail = make("nav", { className: "trail", ariaLabel: "How you came here" });
    const grid = make("div", { className: "grid" });
    root.replaceChildren(head, bar, trail, grid);
    let shape = "", run = 0;

    function draw() {
      const value = props.value || { people: [], animals: [], items: {}, done: 0, total: 0, message: "", busy: false };
      showRun(words, bar, value);
      for (const { id, words: verdicts, study, animal } of Object.values(value.items)) shelf.judged.set(id, { words: verdicts, study, animal });
      sheet.hidden = !value.sheet;
      zip.hidden = !value.zip;
      stages.hidden = !value.stages;
      drawTrail(trail, value.trail || [], send);
      const wanted = JSON.stringify([value.people.map((p) => p.id), value.told, value.animals.map((a) => a.name)]);
      if (wanted !== shape) { layOut(grid, value); shape = wanted; }
      fill(grid, value, (id) => openViewer(gridItems(value), id, false, send));
      drawStars(grid, value);
      fit(grid, value);
      describe(currentItem(), value);
      // On a phone the button lies below the pictures: whoever pressed it wants to see them.
      if (value.run > run && value.busy && narrow()) root.scrollIntoView({ behavior: "smooth" });
      run = value.run || 0;
    }
    new ResizeObserver(() => fit(grid, props.value)).observe(root);
    canvases.push(() => drawStars(grid, props.value));
    watch("value", draw);
    draw();
  }

  // Questions that a canvas asks while something moves. One is under way at a time; where it has been meanwhile is never asked, the
  // last place always is. ``send(name)`` asks; an answer that got lost is not waited for longer than ``LOST_MS``.
  const LOST_MS = 4000;

  function oneAtATime(send) {
    let waits = 0, asked = "";
    return {
      ask(name) {
        if (performance.now() < waits || name === asked) return;
        [waits, asked] = [performance.now() + LOST_MS, name];
        send(name);
      },
      answered(wanted) {
        waits = 0;
        if (wanted !== asked) this.ask(wanted);
      },
    };
  }

  // How far a canvas's run is. Each run has a number of its own, by which the end of one is told from the start of another.
  function showRun(words, bar, value) {
    words.textContent = value.message;
    bar.max = value.total || 1;
    bar.value = value.done;
    bar.classList.toggle("busy", value.busy);
    bar.dataset.run = value.run || 0;
  }

  // The way here, one step of it per button; the last one that is shown is where one stands.
  function drawTrail(nav, steps, send) {
    nav.hidden = steps.length < 2;
    if (nav.hidden) return;
    const at = steps.findIndex((step) => step.here);
    const go = (index) => send("back", { index });
    nav.replaceChildren(icon("←", "Back to the step before (B)", () => go(at - 1), { className: "icon trail-back", disabled: at < 1 }),
      ...steps.flatMap((step, index) => [index > 0 && make("span", { textContent: "›" }),
        quiet(step.label, () => go(index), { className: `quiet crumb${step.here ? " on" : ""}`, title: step.title,
          ...(step.here && { ariaCurrent: "step" }) })]).filter(Boolean));
    const here = nav.querySelector("[aria-current]");
    if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - 60;
  }

  // On a canvas of candidates each picture has its star, so that one picks without opening it.
  function drawStars(grid, value) {
    if (!value || !value.stars) return;
    for (const cell of grid.querySelectorAll("figure.cell:not(.source-cell)")) {
      const item = value.items[cell.id.slice("cell-".length)];
      const old = cell.querySelector(".star");
      if (!isKept(item)) { if (old) old.remove(); continue; }
      const on = Boolean(shelf.stars.get(item.id));
      const star = old || cell.appendChild(make("button", { type: "button", className: "star" }));
      star.textContent = on ? "★" : "☆";
      star.title = star.ariaLabel = on ? `${item.title} is a favourite (F)` : `Make ${item.title} a favourite (F)`;
      star.ariaPressed = String(on);
      star.onclick = () => favourite([{ ...item, favourite: on }]);
    }
  }

  const gridItems = (value) => value.people.flatMap((person) =>
    value.animals.map((animal) => value.items[`${person.id}/${animal.name}`]).filter(Boolean));

  // One person: the cells flow around; several: a row per person, a column per animal.
  function layOut(grid, value) {
    const many = value.people.length > 1;
    const sourced = Boolean(value.people[0] && value.people[0].src);
    grid.className = `grid ${many ? "many" : "one"}${value.told ? " told" : ""}`;
    grid.style.setProperty("--columns", value.animals.length + (sourced ? 1 : 0));
    const cells = [];
    if (many) {
      if (sourced) cells.push(make("span", { className: "column-name" }));
      cells.push(...value.animals.map((animal) => make("span", { className: "column-name" }, animal.label, studyBadge(animal))));
    }
    for (const person of value.people) {
      if (person.src) cells.push(make("figure", { className: "cell source-cell", id: `cell-${person.id}` },
        make("div", { className: "frame" }), make("figcaption", { textContent: person.name, title: person.name })));
      cells.push(...value.animals.map((animal) => emptyCell(person, animal, many)));
    }
    grid.replaceChildren(...cells);
  }

  const studyBadge = (animal) =>
    (animal.study ? make("span", { className: "badge", textContent: "study", title: animal.study }) : null);

  function emptyCell(person, animal, many) {
    const caption = make("figcaption", {}, many ? null : make("span", { className: "cell-name", textContent: animal.label }),
      many ? null : studyBadge(animal),
      make("span", { className: "cell-words" }));
    return make("figure", { className: "cell", id: `cell-${person.id}/${animal.name}` },
      make("button", { type: "button", className: "frame", disabled: true, ariaLabel: `${person.name} as ${animal.label}` }), caption);
  }

  function fill(grid, value, open) {
    for (const person of value.people.filter((one) => one.src)) setPicture(byId(`cell-${person.id}`).firstChild, link(person.src), person.name);
    for (const cell of grid.querySelectorAll("figure.cell:not(.source-cell)")) {
      const key = cell.id.slice("cell-".length);
      const item = value.items[key];
      const frame = cell.firstChild;
      cell.classList.toggle("waiting", value.busy && !(item && item.run === value.run));
      frame.disabled = !item;
      setPicture(frame, item ? link(item.src) : "", item && item.title);
      if (!item) continue;
      frame.title = item.words.map((word) => word.text + (word.figure ? ` (${word.figure})` : "")).join(", ");
      frame.onclick = () => open(item.id);
      cell.querySelector(".cell-words").textContent = item.short;
    }
  }

  // The old picture stays until the new one is decoded, so that nothing blinks. Whichever is decoded last, the one asked for last is shown.
  function setPicture(frame, src, alt) {
    if ((frame.dataset.wanted || "") === src) return;
    frame.dataset.wanted = src;
    const old = () => frame.querySelector("img");
    if (!src) { if (old()) old().remove(); return; }
    const image = make("img", { src, alt, draggable: false });
    const swap = () => {
      if (frame.dataset.wanted !== src) return;
      if (old()) old().replaceWith(image); else frame.prepend(image);
    };
    if (old()) image.decode().then(swap, swap); else swap();
  }

  // The largest cell with which one person's whole row is in sight without scrolling.
  function fit(grid, value) {
    if (!value || value.people.length !== 1) return;
    const count = value.animals.length + (value.people[0].src ? 1 : 0), gap = 12, caption = 48;
    const box = grid.parentElement.getBoundingClientRect();
    const width = grid.clientWidth - 8, height = Math.max(320, box.bottom - grid.getBoundingClientRect().top - 16);
    let best = { size: 0, columns: Math.min(2, count) };
    for (let columns = best.columns; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows - caption);
      if (size > best.size) best = { size, columns };
    }
    const most = count === 1 ? 720 : 320;
    grid.style.setProperty("--fit-columns", narrow() ? Math.min(3, count) : best.columns);
    grid.style.setProperty("--fit-size", narrow() ? "1fr" : `${Math.floor(Math.min(best.size, most))}px`);
  }

  // ---------------------------------------------------------------- one picture, large

  // What is known of an item: what the server told on request, what the judges said in this visit, what drew it, and its name
  // and marks as they are now.
  function currentItem() {
    const item = viewer.items[viewer.index];
    if (!item) return null;
    const now = shelf.value.items.find((other) => other.id === item.id);
    const marks = now && { title: now.title, favourite: now.favourite, tags: now.tags };
    return { ...shelf.known.get(item.id), ...shelf.judged.get(item.id), ...item, ...marks };
  }

  const isKept = (item) => Boolean(item) && !item.id.startsWith("sample-");

  function openViewer(items, id, inStrip = false, send = () => {}) {
    Object.assign(viewer, { items, inStrip, send, index: items.findIndex((item) => item.id === id) });
    look();
  }

  function look() {
    const item = currentItem();
    if (isKept(item)) shelf.trigger("details", { id: item.id });
    drawViewer();
  }

  function closeViewer() {
    if (viewer.index < 0) return false;
    if (viewer.node.classList.contains("full")) {
      leaveFull();
      return true;
    }
    const last = viewer.items[viewer.index];
    viewer.index = -1;
    viewer.node.hidden = true;
    viewer.node.replaceChildren();
    describe(null);
    const cell = last && (viewer.inStrip ? shelf.cells.get(last.id) : byId(`cell-${last.key}`));
    if (cell) (viewer.inStrip ? cell : cell.firstChild).focus();
    return true;
  }

  function step(by) {
    if (viewer.index < 0) return stepFocus(by);
    viewer.index = (viewer.index + by + viewer.items.length) % viewer.items.length;
    look();
  }

  // With no picture large, the arrows move along the strip or the canvas.
  function stepFocus(by) {
    const cell = document.activeElement.closest(".strip-cell, figure.cell");
    const next = cell && (by > 0 ? cell.nextElementSibling : cell.previousElementSibling);
    if (next) (next.querySelector(".frame") || next).focus();
  }

  // The picture that a key means: the large one, else that of the canvas which has the focus or the pointer.
  function meantItem() {
    const cells = [document.activeElement.closest("figure.cell"), document.querySelector("figure.cell:hover"), inSight(".look-yours")];
    const [star] = cells.map((cell) => cell && cell.querySelector(".star")).filter(Boolean);
    return currentItem() || (star && { star });
  }

  function drawViewer() {
    const item = currentItem();
    if (!item) return closeViewer();
    const position = `${viewer.index + 1} of ${viewer.items.length}`;
    const canvas = inSight(".canvas");
    if (canvas && viewer.node.parentElement !== canvas) canvas.append(viewer.node);
    viewer.node.hidden = false;
    viewer.node.replaceChildren(...[
      make("div", { className: "viewer-head" },
        make("h2", { textContent: item.title }),
        make("span", { className: "hint", textContent: position }),
        isKept(item) && icon(item.favourite ? "★" : "☆", "Favourite (F)", () => favourite([item]), { className: "icon star" }),
        icon("", "Full screen (Shift F)", toggleFull, { className: "icon to-full" }),
        quiet("Download", () => take(item), { title: "Download this picture (D)" }),
        icon("×", "Back to all (Esc)", () => { leaveFull(); closeViewer(); })),
      make("div", { className: "viewer-body" }, icon("‹", "Previous (←)", () => step(-1), { className: "icon turn" }), comparison(item),
        icon("›", "Next (→)", () => step(1), { className: "icon turn" })),
      make("p", { className: "viewer-words" }, ...(item.words || []).map((word) =>
        make("span", { textContent: word.text, title: word.figure }))),
      item.steps && moreLike(item),
      make("div", { className: "viewer-about" }, ...(narrow() ? itemDetails(item) : []))].filter(Boolean));
    describe(item);
  }

  // Sixteen new ones around the picture that is looked at, near or far.
  function moreLike(item) {
    return make("div", { className: "row more-like", role: "group", ariaLabel: "More like this" },
      make("span", { textContent: "More like this:" }), ...item.steps.map(({ step, label, title }) => quiet(label, () => {
        viewer.send("like", { key: item.key, step });
        closeViewer();
      }, { title })));
  }

  function comparison(item) {
    const src = link(item.run === undefined ? item.file || item.src : item.src);
    const picture = make("img", { src, alt: item.title, draggable: false });
    if (!item.before) return make("div", { className: "compare" }, picture);
    const range = make("input", { type: "range", min: 0, max: 100, value: 50, ariaLabel: `Compare with the ${item.beforeWords || "photo"}` });
    const compare = make("div", { className: "compare", style: "--cut:50%" }, picture,
      make("img", { src: link(item.before), alt: `The ${item.beforeWords || "photo"}`, className: "before", draggable: false }),
      make("span", { className: "cut" }), make("span", { className: "tag left", textContent: item.beforeWords || "photo" }),
      make("span", { className: "tag right", textContent: item.animal || "result" }), range);
    range.addEventListener("input", () => compare.style.setProperty("--cut", `${range.value}%`));
    return compare;
  }

  function toggleFull() {
    if (viewer.index < 0) return;
    if (viewer.node.classList.contains("full")) return leaveFull();
    viewer.node.classList.add("full");
    const wanted = document.documentElement.requestFullscreen; // a phone's browser may have none: the window is filled then
    if (wanted) wanted.call(document.documentElement).catch(() => {});
  }

  function leaveFull() {
    viewer.node.classList.remove("full");
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  }

  // A file to keep: at once if it is as wanted already, else the server makes it.
  function take(item) {
    if (!item) return;
    if (!bare() && item.file) return download(item.file, `${item.title}.png`);
    if (item.run !== undefined) viewer.send("export", { what: "picture", id: item.id });
    else shelf.trigger("fetch", { ids: [item.id], bare: bare() });
  }

  // ---------------------------------------------------------------- inspector

  function describe(item, value) {
    const root = byId("inspector-body");
    if (!root || (value && item)) return;
    const told = tales.find(([canvas]) => canvas.offsetParent);
    const general = () => [...(told ? told[1]() : sheetDetails()), bareSwitch()];
    root.replaceChildren(...(item && !narrow() ? itemDetails(item) : general())); // on a phone the viewer tells them
  }

  const sheetDetails = () => [
    make("p", { textContent: "Click a picture to see it large, with what the judges say about it." }),
    make("p", { className: "hint", textContent: "Press ? for all keys." })];
  const tales = []; // of canvases: what the inspector tells while one is in sight and no picture is looked at, else the lines above
  const tell = (canvas, tale) => tales.push([canvas, tale]);

  const line = ({ text, figure, good }) => make("li", { className: good ? "good" : "poor" }, make("span", {}, make("span", { textContent: text }),
    figure ? make("span", { className: "hint", textContent: ` ${figure}` }) : ""));

  // What is said of what a canvas shows: sentences with their figures, why the network is weak, the recipe.
  function account({ title, words, study, recipe }) {
    return [make("h3", { textContent: title }), make("ul", { className: "words" }, ...(words || []).map(line)), study && studyNote(study),
      recipe && recipeDetails({ recipe })].filter(Boolean);
  }

  const studyNote = (study) => make("p", { className: "study" }, make("span", { className: "badge", textContent: "study" }), ` ${study}`);

  function itemDetails(item) {
    const facts = make("dl", {}, ...(item.facts || []).flatMap(([name, text]) =>
      [make("dt", { textContent: name }), make("dd", { textContent: text })]));
    return [
      isKept(item) ? titleField(item) : make("h3", { textContent: item.title }),
      item.note && make("p", { className: "note error", textContent: item.note.text }),
      make("ul", { className: "words" }, ...(item.words || []).map((word) =>
        make("li", { textContent: word.text, title: word.figure || "", className: word.good ? "good" : "poor" }))),
      item.study && studyNote(item.study),
      isKept(item) && tagList(item),
      facts,
      make("button", { type: "button", className: "quiet wide", textContent: "Download PNG", onclick: () => take(item) }),
      bareSwitch(),
      ...keptDetails(item),
      item.recipe && recipeDetails(item),
      isKept(item) && binButton(item),
    ].filter(Boolean);
  }

  function keptDetails(item) {
    if (!item.lineage) return [];
    return [
      item.again && make("button", { type: "button", className: "quiet wide again", textContent: "Make again with changes",
        title: "Everything as it was for this picture", onclick: () => again(item.id) }),
      ...item.targets.map((target) => make("button", { type: "button", className: "quiet wide send", textContent: target.label,
        onclick: () => shelf.trigger("deliver", { id: item.id, tab: target.tab, kind: target.kind }) })),
      item.link && make("button", { type: "button", className: "quiet wide copy-link", textContent: "Copy link",
        title: "Who opens it finds everything set; the photo itself stays with you", onclick: () => copyLink(item) }),
      make("h3", { textContent: "Where it comes from" }),
      make("ol", { className: "lineage" }, ...item.lineage.map((part) => lineageStep(part, item))),
      item.made.length && make("h3", { textContent: "Made from it" }),
      item.made.length && make("ol", { className: "lineage" }, ...item.made.map((part) => lineageStep(part, item))),
    ];
  }

  function lineageStep(part, item) {
    const words = make("div", { className: "person-words" }, make("span", { className: "person-name", textContent: part.title }),
      make("span", { className: "hint", textContent: part.words }));
    const picture = part.src ? make("img", { src: link(part.src), alt: "" }) : make("span", { className: "no-picture" });
    if (part.kind === "photo" || part.id === item.id) return make("li", {}, picture, words);
    return make("li", {}, make("button", { type: "button", className: "thumb", title: `See ${part.title}`, ariaLabel: `See ${part.title}`,
      onclick: () => openViewer([part], part.id, true) }, picture), words,
    icon("↺", `Make ${part.title} again with changes`, () => again(part.id)));
  }

  const again = (id) => shelf.trigger("again", { id });

  const copyLink = (item) => copy(`${location.origin}${location.pathname}?r=${item.link}`,
    "The link is copied. It carries the settings; the photo itself stays with you.");

  function titleField(item) {
    const field = make("input", { className: "title-field", value: item.title, ariaLabel: "Name", maxLength: 80, title: "Rename" });
    field.addEventListener("change", () => edit("rename", [item.id], { name: field.value }));
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") field.blur(); });
    return field;
  }

  function tagList(item) {
    const field = make("input", { className: "tag-field", placeholder: "Add a tag", ariaLabel: "Add a tag", maxLength: 30, list: "known-tags" });
    field.addEventListener("change", () => field.value.trim() && edit("tag", [item.id], { add: [field.value] }));
    return make("div", { className: "tags" }, ...(item.tags || []).map((tag) => make("span", { className: "tag-chip" }, tag,
      icon("×", `Remove the tag ${tag}`, () => edit("tag", [item.id], { remove: [tag] })))), field,
    make("datalist", { id: "known-tags" }, ...shelf.value.tags.map((tag) => make("option", { value: tag }))));
  }

  function bareSwitch() {
    const box = make("input", { type: "checkbox", checked: bare(), className: "bare-switch" });
    box.addEventListener("change", () => {
      remember(BARE, box.checked ? "yes" : "");
      for (const other of document.querySelectorAll(".bare-switch")) other.checked = box.checked;
    });
    return make("label", { className: "switch", title: "Downloads and zips then say nothing about the photo, the network or the settings" },
      box, "Leave the recipe out of downloads");
  }

  const recipeDetails = (item) => make("details", {}, make("summary", { textContent: "Recipe" }),
    make("pre", { textContent: item.recipe }), quiet("Copy recipe", () => copy(item.recipe, "The recipe is copied.")));

  const binButton = (item) => (item.trashed
    ? quiet("Take out of the trash", () => edit("restore", [item.id]), { className: "quiet wide" })
    : quiet("Delete", () => edit("delete", [item.id]), { className: "quiet wide delete", title: "To the trash (Del); Z brings it back" }));

  // What the server tells about the picture that is looked at.
  function facts(root, { watch, props }) {
    watch("value", () => {
      const value = props.value;
      if (!value || !value.id) return;
      shelf.known.set(value.id, value);
      const item = viewer.items[viewer.index];
      if (!item || item.id !== value.id) return;
      if (item.run === undefined || narrow()) drawViewer(); else describe(currentItem());
    });
  }

  // ---------------------------------------------------------------- strip

  const EMPTY_STRIP = { items: [], tags: [], total: 0, kept: 0, trash: 0, undo: null, redo: null, note: null,
    view: { text: "", tab: "", tag: "", favourites: false, trash: false } };
  const shelf = { value: EMPTY_STRIP, trigger: () => {}, cells: new Map(), known: new Map(), judged: new Map(), stars: new Map(), chosen: new Set(), choosing: false };

  const edit = (act, ids = [], more = {}) => shelf.trigger("edit", { act, ids, ...more });
  const show = (change) => shelf.trigger("view", { ...shelf.value.view, ...change });

  function favourite(items) {
    const kept = items.filter(isKept);
    if (kept.length) edit("favourite", kept.map((item) => item.id), { on: !kept.every((item) => item.favourite) });
  }

  function remove() {
    const ids = shelf.choosing ? [...shelf.chosen] : [currentItem()].filter(isKept).map((item) => item.id);
    if (ids.length) edit("delete", ids);
  }

  function strip(root, { trigger, watch, props }) {
    const bar = make("div", { className: "strip-bar" });
    const row = make("div", { className: "strip-row" });
    const search = searchField();
    root.replaceChildren(bar, row);
    shelf.trigger = trigger;
    shelf.draw = () => {
      drawBar(bar, search);
      drawRow(row);
    };
    watch("value", () => {
      shelf.value = props.value || EMPTY_STRIP;
      if (shelf.value.token) remember(TOKEN, shelf.value.token);
      const ids = new Set(shelf.value.items.map((item) => item.id));
      shelf.value.items.forEach((item) => shelf.stars.set(item.id, item.favourite));
      canvases.forEach((redraw) => redraw());
      shelf.chosen = new Set([...shelf.chosen].filter((id) => ids.has(id)));
      shelf.draw();
      if (shelf.value.note) say(shelf.value.note);
      followStrip(ids);
    });
    shelf.draw();
  }

  // The picture that is looked at stays the same one; if it was deleted, the next one takes its place.
  function followStrip(ids) {
    const item = viewer.items[viewer.index];
    if (!item) return;
    if (viewer.inStrip) {
      const gone = !ids.has(item.id);
      viewer.items = shelf.value.items;
      viewer.index = gone ? Math.min(viewer.index, viewer.items.length - 1) : viewer.items.findIndex((other) => other.id === item.id);
      if (gone) return viewer.index < 0 ? hideViewer() : look();
    }
    if (isKept(item) && !document.activeElement.closest("#inspector-body .title-field, .viewer-about .title-field")) drawViewer();
  }

  function hideViewer() {
    leaveFull();
    viewer.node.hidden = true;
    viewer.node.replaceChildren();
    describe(null);
  }

  function searchField() {
    const field = make("input", { type: "search", className: "strip-search", placeholder: "Search", ariaLabel: "Search the gallery" });
    let timer = 0;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => show({ text: field.value }), 200);
    });
    return field;
  }

  function drawBar(bar, search) {
    const { kept, trash, view } = shelf.value;
    bar.hidden = !kept && !trash && !shelf.value.redo;
    const tools = shelf.choosing ? choosingTools() : filterTools(search);
    // Only what changed is touched, so that the search field keeps the cursor.
    if (shelf.choosing || !bar.contains(search)) bar.replaceChildren(...tools);
    else {
      while (search.previousSibling) search.previousSibling.remove();
      while (search.nextSibling) search.nextSibling.remove();
      const place = tools.indexOf(search);
      search.before(...tools.slice(0, place));
      search.after(...tools.slice(place + 1));
    }
    bar.classList.toggle("in-trash", view.trash);
  }

  const toggle = (text, on, onclick, more = {}) => quiet(text, onclick, { ariaPressed: String(on), className: on ? "quiet on" : "quiet", ...more });

  function filterTools(search) {
    const { view, undo, redo, total, kept, trash, tags } = shelf.value;
    const tabs = [...document.querySelectorAll("[data-tab]")].map((button) => [button.dataset.tab, button.textContent]);
    const filtered = view.text || view.tag || view.tab || view.favourites;
    const count = view.trash ? `${total} in the trash` : filtered ? `${total} of ${kept}` : `${kept} kept`;
    return [
      icon("↶", undo ? `Undo: ${undo} (Z)` : "Nothing to undo", () => edit("undo"), { id: "undo", disabled: !undo }),
      icon("↷", redo ? `Redo: ${redo} (Shift Z)` : "Nothing to redo", () => edit("redo"), { id: "redo", disabled: !redo }),
      search,
      toggle("★ Favourites", view.favourites, () => show({ favourites: !view.favourites }), { id: "only-favourites" }),
      tabs.length > 1 && choiceOf("All tabs", tabs, view.tab, (tab) => show({ tab })),
      tags.length && choiceOf("All tags", tags.map((name) => [name, name]), view.tag, (tag) => show({ tag })),
      (trash || view.trash) && toggle(`Trash ${trash}`, view.trash, () => show({ trash: !view.trash }), { id: "show-trash" }),
      quiet("Select", () => choose(true), { id: "select", title: "Choose several pictures" }),
      make("span", { className: "hint strip-count", textContent: count }),
    ].filter(Boolean);
  }

  function choiceOf(all, options, value, pick) {
    const choice = make("select", { className: "strip-choice", ariaLabel: all }, ...[["", all], ...options].map(([name, text]) =>
      make("option", { value: name, textContent: text })));
    choice.value = value;
    choice.addEventListener("change", () => pick(choice.value));
    return choice;
  }

  function choosingTools() {
    const ids = [...shelf.chosen], none = { disabled: !ids.length };
    const items = shelf.value.items.filter((item) => shelf.chosen.has(item.id));
    const wordsFor = ids.length === 1 ? "1 selected" : `${ids.length} selected`;
    const acts = shelf.value.view.trash
      ? [quiet("Take out of the trash", () => edit("restore", ids), none), quiet("Remove for good", () => confirmPurge(ids), none)]
      : [quiet("Zip", () => shelf.trigger("fetch", { ids, zip: true, bare: bare() }), { id: "zip-selected", ...none }),
        quiet("★", () => favourite(items), { ariaLabel: "Favourite", title: "Favourite (F)", ...none }),
        quiet("Tag", () => askTag(ids), none), quiet("Delete", () => edit("delete", ids), { id: "delete-selected", ...none })];
    return [make("strong", { textContent: wordsFor }),
      quiet("All", () => { shelf.value.items.forEach((item) => shelf.chosen.add(item.id)); shelf.draw(); }), ...acts,
      quiet("Done", () => choose(false), { id: "select-done" })];
  }

  function choose(on) {
    shelf.choosing = on;
    shelf.chosen.clear();
    shelf.draw();
  }

  function confirmPurge(ids) {
    const box = dialog("Remove for good?", make("p", { textContent: "The pictures, and photos only they were made from, leave the disk. There is no undo." }),
      make("div", { className: "row" }, make("button", { type: "button", className: "loud", textContent: "Remove for good",
        onclick: () => { edit("purge", ids); box.close(); } })));
  }

  function askTag(ids) {
    const field = make("input", { className: "paste-area", placeholder: "Tag", ariaLabel: "Tag", maxLength: 30 });
    const done = () => { if (field.value.trim()) edit("tag", ids, { add: [field.value] }); box.close(); };
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") done(); });
    const box = dialog("Tag the selected pictures", field, make("div", { className: "row" },
      make("button", { type: "button", className: "loud", textContent: "Add the tag", onclick: done })));
    field.focus();
  }

  // Cells stay the same nodes while they are shown, so that nothing blinks.
  function drawRow(row) {
    const { items, total, kept, view } = shelf.value;
    const focused = row.contains(document.activeElement) ? document.activeElement : null, scrolled = row.scrollLeft;
    const cells = new Map(items.map((item) => [item.id, stripCell(shelf.cells.get(item.id), item)]));
    shelf.cells = cells;
    const more = total > items.length && quiet(`${total - items.length} more`, () => shelf.trigger("view", { more: true }), { id: "strip-more" });
    const hint = !items.length && make("p", { className: "hint", textContent: view.trash ? "The trash is empty."
      : kept ? "Nothing kept fits this search." : "Everything you make is kept here." });
    row.replaceChildren(...[...cells.values(), more, hint].filter(Boolean));
    row.scrollLeft = scrolled;
    if (focused && focused.isConnected) focused.focus();
  }

  function stripCell(known, item) {
    const cell = known || make("button", { type: "button" }, make("img", { src: link(item.src), alt: "", loading: "lazy" }));
    const chosen = shelf.chosen.has(item.id);
    cell.className = `strip-cell${item.favourite ? " favourite" : ""}${shelf.choosing ? " choosing" : ""}${chosen ? " chosen" : ""}`;
    cell.title = cell.ariaLabel = item.title;
    if (shelf.choosing) cell.ariaPressed = String(chosen); else cell.removeAttribute("aria-pressed");
    cell.onclick = () => (shelf.choosing ? flip(item.id) : openViewer(shelf.value.items, item.id, true));
    return cell;
  }

  function flip(id) {
    if (!shelf.chosen.delete(id)) shelf.chosen.add(id);
    shelf.draw();
  }

  // Files that are made on request, words, and the tab that something was brought to.
  function courier(root, { watch, props }) {
    watch("value", () => {
      const { file, note, tab } = props.value || {};
      if (file) download(file);
      if (note) say(note);
      document.dispatchEvent(new CustomEvent("brought"));
      if (!tab) return;
      while (closeViewer());
      showTab(tab);
      if (narrow()) inSight(".drawn-source").scrollIntoView({ behavior: "smooth" });
    });
  }

  // ---------------------------------------------------------------- tabs, keys, drop, paste

  function showTab(name) {
    for (const pane of document.querySelectorAll(".tab-pane")) pane.classList.toggle("on", pane.id === `tab-${name}`);
    for (const button of document.querySelectorAll("[data-tab]")) button.ariaSelected = String(button.dataset.tab === name);
    if (viewer.index < 0) describe(null);
  }

  const KEYS = [["Enter", "Make"], ["Esc", "Stop, or back to all pictures"], ["← →", "Previous and next picture"], ["B", "Back to the dream before"],
    ["Z", "Undo what was done in the gallery"], ["Shift Z", "Do it again"], ["F", "Mark as a favourite"],
    ["[ ]", "A smaller or larger brush"], ["P E R", "Paint, erase, rectangle"], ["Ctrl Z", "Take the last stroke back"],
    ["Shift F", "The picture in full screen"], ["D", "Download the picture"], ["Del", "Move to the trash"], ["?", "All keys"]];

  const star = (item) => (item && item.star ? item.star.click() : favourite([item]));

  function showKeys() {
    dialog("Keys", make("dl", { className: "keys" }, ...KEYS.flatMap(([key, does]) =>
      [make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: does })])));
  }

  const shownButton = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent && !node.disabled);

  function press(selector) {
    const button = shownButton(selector);
    if (button) button.click();
    return Boolean(button);
  }

  const ACTIONS = {
    b: () => press(".trail-back"),
    Enter: () => press(".make-button"),
    Escape: () => closeViewer() || (shelf.choosing ? choose(false) : press(".stop-button")),
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    f: (event) => (event.shiftKey ? toggleFull()
      : shelf.choosing ? favourite(shelf.value.items.filter((item) => shelf.chosen.has(item.id))) : star(meantItem())),
    d: () => (currentItem() ? take(currentItem()) : press(".save-look")),
    z: (event) => edit(event.shiftKey ? "redo" : "undo"),
    Delete: remove,
    "?": showKeys,
  };

  function onKey(event) {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    const pressing = event.key === "Enter" && event.target.closest("button, a, summary, input");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || pressing || document.querySelector("dialog[open]")) return;
    const action = ACTIONS[event.key] || ACTIONS[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action(event);
  }

  // Text that is a recipe or a link to one is restored, wherever on the page it is pasted.
  function onPaste(event) {
    if (!event.clipboardData || event.target.closest("input, textarea")) return;
    const text = event.clipboardData.getData("text/plain").trim();
    if (event.clipboardData.files.length) send(event.clipboardData.files);
    else if (text.startsWith("{") || /[?&]r=/.test(text)) shelf.trigger("recipe", { text });
  }

  function listen() {
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", (event) => {
      const tab = event.target.closest("[data-tab]");
      if (tab) showTab(tab.dataset.tab);
      if (event.target.closest("#keys-button")) showKeys();
      if (event.target.closest("#inspector-fold")) document.body.classList.toggle("inspector-closed");
    });
    document.addEventListener("change", (event) => { // another part of a tab: its canvas is what is told of
      if (event.target.closest(".mode-switch") && viewer.index < 0) requestAnimationFrame(() => describe(null));
    });
    document.addEventListener("paste", onPaste);
    document.addEventListener("fullscreenchange", () => document.fullscreenElement || (viewer.node && leaveFull()));
    document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      send(event.dataTransfer ? event.dataTransfer.files : [], event.target);
    });
  }
  listen();

  return { source, stage, strip, courier, facts, arrival, make, link, quiet, icon, narrow, bare, say, tell, account, line, studyNote, describe, currentItem,
    recipeDetails, studyBadge, setPicture, showRun, comparison, openViewer, oneAtATime };
})();
