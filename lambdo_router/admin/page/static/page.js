// Updates the page as things change, draws the lines of the map, and shows the answer to the form
// without a new page. All HTML is made, and escaped, by the server; without this script the page
// is a snapshot from when it was loaded.
"use strict";

(() => {
  const body = document.body;
  const one = (selector) => document.querySelector(selector);
  const regions = new Map([...document.querySelectorAll("[data-region]")].map((it) => [it.dataset.region, it]));
  const live = one("[data-live]");
  let version = body.dataset.version;
  let ahead = Number(body.dataset.at) * 1000 - Date.now(); // of the server's clock
  let source = null;
  let paused = false;

  // Changes

  function element(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  function children(region) {
    return new Map([...region.children].map((child) => [child.dataset.key, child]));
  }

  // Keep open what was opened, and the focus.
  function keep(old, fresh) {
    const opened = [...old.querySelectorAll("details")].map((it) => it.open);
    fresh.querySelectorAll("details").forEach((it, place) => (it.open = opened[place] || false));
    if (!old.contains(document.activeElement)) return () => {};
    const ways = "a, summary, button";
    const place = [...old.querySelectorAll(ways)].indexOf(document.activeElement);
    return () => fresh.querySelectorAll(ways)[place]?.focus({ preventScroll: true });
  }

  function apply(region, change) {
    const known = children(region);
    for (const [key, html] of Object.entries(change.parts || {})) {
      const fresh = element(html);
      const old = known.get(key);
      if (old) {
        const focus = keep(old, fresh);
        old.replaceWith(fresh);
        focus();
      }
      known.set(key, fresh);
    }
    if (!change.order) return;
    const wanted = new Set(change.order);
    for (const [key, child] of known) if (!wanted.has(key)) child.remove();
    change.order.forEach((key, place) => {
      const child = known.get(key);
      if (region.children[place] !== child) region.insertBefore(child, region.children[place] || null);
    });
  }

  function take(change) {
    if (change.assets !== body.dataset.assets) {
      location.reload(); // the router was replaced by another version
      return;
    }
    ahead = change.at * 1000 - Date.now();
    for (const [name, region] of Object.entries(change.regions)) {
      if (regions.has(name)) apply(regions.get(name), region);
    }
    const summary = one(".summary");
    document.title = `${summary.dataset.title} - lambdo-router`;
    const icon = one("link[rel=icon]");
    const address = summary.dataset.tone === "bad" ? icon.dataset.bad : icon.dataset.good;
    if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
    one("footer time").dateTime = new Date(change.at * 1000).toISOString();
    one("footer time").dataset.at = change.at;
    tick();
    draw();
  }

  // The connection

  function say(words, tone) {
    one("[data-live-text]").textContent = words;
    live.classList.toggle("is-good", tone === "good");
    live.classList.toggle("is-bad", tone === "bad");
  }

  function connect() {
    source = new EventSource(`/events?from=${encodeURIComponent(version)}`);
    source.onopen = () => say("live", "good");
    source.onmessage = (event) => {
      version = event.lastEventId;
      take(JSON.parse(event.data));
    };
    source.onerror = () => {
      say("no connection, trying again", "bad");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => paused || connect(), 5000);
    };
  }

  one("[data-pause]").addEventListener("click", (event) => {
    paused = !paused;
    event.target.setAttribute("aria-pressed", String(paused));
    body.classList.toggle("is-paused", paused);
    if (paused) {
      source.close();
      say("paused", "");
    } else {
      say("connecting", "");
      connect();
    }
  });

  // Times

  function distance(seconds) {
    const whole = Math.round(Math.abs(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
    return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
  }

  function tick() {
    if (paused) return;
    const now = (Date.now() + ahead) / 1000;
    for (const time of document.querySelectorAll("time[data-at]")) {
      if (!time.title) time.title = new Date(time.dataset.at * 1000).toLocaleString();
      const seconds = now - time.dataset.at;
      let words = seconds >= -0.5 ? `${distance(seconds)} ago` : `in ${distance(seconds)}`;
      if ("for" in time.dataset) words = `for ${distance(seconds)}`;
      if ("due" in time.dataset && seconds >= -0.5) words = "now";
      if (time.textContent !== words) time.textContent = words;
    }
  }

  // The lines of the map

  const wires = one("[data-wires]");
  const drawn = new Map();

  function flows() {
    const [queues, routes, machines] = ["queues", "routes", "machines"].map((name) => children(regions.get(name)));
    const found = [];
    for (const [key, route] of routes) {
      if (!route.dataset.flows) continue;
      for (const [queue, rate] of JSON.parse(route.dataset.flows)) {
        if (queues.has(queue)) found.push({ id: `q ${queue} ${key}`, from: queues.get(queue), to: route, rate, failing: false });
      }
      const machine = machines.get(route.dataset.group);
      const rate = Number(route.dataset.launches);
      if (machine) found.push({ id: `m ${key}`, from: route, to: machine, rate, failing: route.classList.contains("is-bad") && !rate });
    }
    return found;
  }

  // Spread the lines at a card over its edge, in the order of their other ends.
  function spread(found, end, other, box) {
    const groups = new Map();
    for (const flow of found) groups.set(flow[end], [...(groups.get(flow[end]) || []), flow]);
    for (const [card, group] of groups) {
      const { top, height } = box(card);
      group.sort((a, b) => box(a[other]).top - box(b[other]).top);
      group.forEach((flow, place) => {
        flow[`${end}Y`] = top + height * (0.5 + ((place + 0.5) / group.length - 0.5) * 0.7);
      });
    }
  }

  function svg(name, parent, className) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    if (className) made.setAttribute("class", className);
    parent.append(made);
    return made;
  }

  function draw() {
    if (getComputedStyle(wires).display === "none") return;
    const map = one("[data-map]").getBoundingClientRect();
    const boxes = new Map();
    const box = (card) => {
      if (!boxes.has(card)) {
        const { left, right, top, height } = card.getBoundingClientRect();
        boxes.set(card, { left: left - map.left, right: right - map.left, top: top - map.top, height });
      }
      return boxes.get(card);
    };
    const found = flows();
    spread(found, "from", "to", box);
    spread(found, "to", "from", box);
    const moving = found.filter((flow) => flow.rate).length;
    const seen = new Set();
    for (const flow of found) {
      seen.add(flow.id);
      const [x1, x2] = [box(flow.from).right, box(flow.to).left];
      const bend = (x2 - x1) / 2;
      const path = `M${x1} ${flow.fromY}C${x1 + bend} ${flow.fromY} ${x2 - bend} ${flow.toY} ${x2} ${flow.toY}`;
      if (!drawn.has(flow.id)) {
        const group = svg("g", wires);
        drawn.set(flow.id, { group, base: svg("path", group, "base"), dots: svg("path", group, "dots"), label: svg("text", group) });
      }
      const { group, base, dots, label } = drawn.get(flow.id);
      group.setAttribute("class", flow.failing ? "failing" : flow.rate ? "" : "idle");
      base.setAttribute("d", path);
      dots.setAttribute("d", path);
      base.setAttribute("stroke-width", flow.rate ? Math.min(9, 1.5 + Math.log2(1 + flow.rate)) : 1.5);
      const seconds = `${Math.max(0.35, 2.6 / Math.sqrt(1 + flow.rate / 6)).toFixed(2)}s`;
      if (dots.style.animationDuration !== seconds) dots.style.animationDuration = seconds;
      label.textContent = flow.rate && moving <= 24 ? `${flow.rate.toLocaleString("en")}/min` : "";
      label.setAttribute("x", (x1 + x2) / 2);
      label.setAttribute("y", (flow.fromY + flow.toY) / 2);
    }
    for (const [id, { group }] of drawn) {
      if (!seen.has(id)) {
        group.remove();
        drawn.delete(id);
      }
    }
  }

  // The form

  one("[data-try]").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const answer = one("[data-answer]");
    try {
      const response = await fetch("/explain", {
        method: "POST",
        headers: { Accept: "text/x-part" },
        body: new URLSearchParams(new FormData(form)),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      answer.replaceChildren(element(text));
      answer.scrollIntoView({ block: "nearest" });
    } catch (problem) {
      const said = document.createElement("p");
      said.textContent = `No answer: ${problem.message}`;
      answer.replaceChildren(said);
    }
  });

  function start() {
    new ResizeObserver(draw).observe(one("[data-map]")); // draws at once, too
    setInterval(tick, 1000);
    tick();
    connect();
  }

  live.hidden = false;
  one("[data-stale]").remove();
  one("footer time").dataset.at = body.dataset.at;
  if (document.hidden) start();
  else requestAnimationFrame(() => setTimeout(start)); // let the page be painted first
})();
