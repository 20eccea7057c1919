// A square between four pictures with a dot in it: whoever drags or uses the arrow keys goes from one to another.
imaginarium.plane = (label, moved) => {
  const { make, setPicture } = imaginarium;
  const STEP = 0.05, DOT = 12; // of the square's side with an arrow key; px around the dot
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const dot = make("span", { className: "pad-dot" });
  const node = make("div", { className: "pad", tabIndex: 0, role: "slider", ariaLabel: label }, ...[0, 1, 2, 3].map(() => make("div", { className: "frame" })), dot);
  let here = [0.5, 0.5];

  const within = (part) => Math.round(100 * Math.min(Math.max(part, 0), 1)) / 100;
  const go = (x, y) => moved(within(x), within(y));

  function drag(event) {
    const box = node.getBoundingClientRect();
    go((event.clientX - box.left - DOT) / (box.width - 2 * DOT), (event.clientY - box.top - DOT) / (box.height - 2 * DOT));
  }
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // nothing is selected
    node.focus({ preventScroll: true });
    node.setPointerCapture(event.pointerId);
    drag(event);
  });
  node.addEventListener("pointermove", (event) => { if (node.hasPointerCapture(event.pointerId)) drag(event); });
  node.addEventListener("keydown", (event) => {
    const [dx, dy] = ARROWS[event.key] || [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows of the gallery
    go(here[0] + dx * STEP, here[1] + dy * STEP);
  });

  // ``pictures`` lie in the corners, top left first; the dot is at ``place``, paler where it only shows the middle.
  function show(pictures, place, away) {
    here = place;
    pictures.forEach(({ src, title }, corner) => setPicture(node.children[corner], src, title));
    [dot.style.left, dot.style.top] = place.map((part) => `calc(${DOT}px + ${part} * (100% - ${2 * DOT}px))`);
    node.ariaValueText = `${Math.round(100 * place[0])} % across, ${Math.round(100 * place[1])} % down`;
    dot.classList.toggle("away", away);
  }

  return { node, show };
};
