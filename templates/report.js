// The tables of users, groups and memberships. Text from the data reaches the page as text only (textContent and attribute
// values), and this file is the same in every report, so that one hash in the page's policy allows it.
(() => {
  "use strict";

  const PAGE = 100;
  const ALL = "";
  const NONE = "(none)";
  const byId = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en-US");

  // What would hide or turn text is made visible, as in the rest of the page.
  const HIDDEN = /[\p{Cc}\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
  const visible = (text) => text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function field(name, label, control) {
    control.id = `field-${name}`;
    return element("div", { class: name === "search" ? "field search" : "field" }, element("label", { for: control.id }, label), control);
  }

  async function unpack() {
    const holder = byId("data");
    const text = atob(holder.textContent);
    holder.textContent = "";
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  // Columns. `get` returns a text, a number or null; times are milliseconds. Paper has no room for `extra` ones.

  const repeated = (column) => (row) => (column.rows[row] ? column.texts[column.rows[row] - 1] : null);
  // The search and the download have the whole text.
  const short = (text) => (text.length > 160 ? `${[...text.slice(0, 320)].slice(0, 159).join("").trimEnd()}…` : text);
  const plain = (column) => (row) => column[row] ?? null;

  function columnsOfUsers(users, findings) {
    return [
      { key: "name", title: "Name", kind: "text", get: plain(users.name) },
      { key: "login", title: "Login", kind: "text", get: plain(users.login) },
      { key: "status", title: "Status", kind: "text", get: repeated(users.status) },
      { key: "last_login", title: "Last sign-in (UTC)", kind: "time", get: plain(users.last_login) },
      {
        key: "groups", title: "Groups", kind: "number", get: plain(users.groups),
        link: (row) => ({ table: "memberships", user: users.id[row] }),
        linkLabel: (row) => `Memberships of ${visible(users.name[row])}`,
      },
      { key: "findings", title: "Findings", kind: "findings", get: findings },
      {
        key: "email", extra: true, title: "Email", kind: "text",
        get: (row) => (users.email[row] === 0 ? users.login[row] : users.email[row]),
      },
      { key: "second_email", extra: true, title: "Secondary email", kind: "text", get: plain(users.second_email) },
      { key: "matched_by", extra: true, title: "In scope by", kind: "text", get: repeated(users.matched_by) },
      { key: "created", extra: true, title: "Created (UTC)", kind: "time", get: plain(users.created) },
      { key: "id", extra: true, title: "Id", kind: "id", get: plain(users.id) },
    ];
  }

  function columnsOfGroups(groups, sizes, findings) {
    return [
      { key: "name", title: "Name", kind: "text", get: plain(groups.name), shown: (row) => groups.name[row] || groups.id[row] },
      { key: "type", title: "Type", kind: "text", get: repeated(groups.type) },
      {
        key: "members", title: "In scope", kind: "number",
        missing: (row) => (groups.unreadable[row] ? "not readable" : ""),
        get: (row) => (sizes === null || groups.unreadable[row] ? null : sizes[row]),
        link: (row) => ({ table: "memberships", group: groups.id[row] }),
        linkLabel: (row) => `Members of ${visible(groups.name[row] || groups.id[row])}`,
      },
      { key: "members_reported", title: "Okta's count", kind: "number", get: plain(groups.members_reported) },
      {
        key: "description", title: "Description", kind: "text", get: plain(groups.description),
        shown: (row) => short(groups.description[row] ?? ""),
      },
      { key: "last_membership_updated", title: "Members changed (UTC)", kind: "time", get: plain(groups.last_membership_updated) },
      { key: "created", extra: true, title: "Created (UTC)", kind: "time", get: plain(groups.created) },
      { key: "learned", extra: true, title: "Source", kind: "text", get: repeated(groups.learned) },
      { key: "findings", title: "Findings", kind: "findings", get: findings },
      { key: "id", extra: true, title: "Id", kind: "id", get: plain(groups.id) },
    ];
  }

  // The columns of a membership are those of its group and its user.
  function columnsOfMemberships(data, pairs, users, groups, findings) {
    const from = (columns, places, prefix, key, title) => {
      const base = columns.find((column) => column.key === key);
      return {
        key: key === "learned" ? key : `${prefix}_${key}`, title, kind: base.kind, extra: base.extra, base, places,
        get: (row) => base.get(places[row]),
        shown: base.shown && ((row) => base.shown(places[row])),
      };
    };
    const user = (key, title) => from(users, pairs.users, "user", key, title);
    const group = (key, title) => from(groups, pairs.groups, "group", key, title);
    return [
      group("name", "Group"),
      user("name", "User"),
      user("login", "Login"),
      user("status", "Status"),
      user("last_login", "Last sign-in (UTC)"),
      group("type", "Type"),
      group("learned", "Source"),
      { key: "findings", title: "Findings", kind: "findings", get: findings },
      user("email", "Email"),
      group("id", "Group id"),
      user("id", "User id"),
    ];
  }

  function unpackPairs(members) {
    const size = members.reduce((sum, places) => sum + places.length, 0);
    const pairs = { users: new Uint32Array(size), groups: new Uint32Array(size), size };
    let at = 0;
    members.forEach((differences, group) => {
      let user = 0;
      for (const difference of differences) {
        user += difference;
        pairs.users[at] = user;
        pairs.groups[at] = group;
        at++;
      }
    });
    return pairs;
  }

  // For each row the findings that it has, as bits; the number of a bit is the place of the finding in `ids`.
  function unpackFindings(findings, ids, table, size) {
    const bits = new Uint32Array(size);
    ids.forEach((id, bit) => {
      let row = 0;
      for (const difference of findings[id][table]) {
        row += difference;
        bits[row] |= 1 << bit;
      }
    });
    return bits;
  }

  const named = (ids, bits) => ids.filter((_, bit) => bits & (1 << bit)).join(" ");

  // Searching. Each word must occur somewhere in the row.

  function haystacks(table) {
    table.haystacks ??= Array.from({ length: table.size }, (_, row) =>
      table.searched.map((column) => column.get(row) ?? "").join("\n").toLowerCase());
    return table.haystacks;
  }

  // Returns 1 for each row in which a word occurs.
  function hits(table, word) {
    const found = new Uint8Array(table.size);
    const texts = haystacks(table);
    for (let row = 0; row < texts.length; row++) found[row] = texts[row].includes(word) ? 1 : 0;
    return found;
  }

  // Sorting. Each row's rank in a column: equal values have equal ranks, and rows without a value have none.

  function ranksOf(column, size) {
    if (column.ranks) return column.ranks;
    const isText = column.kind === "text" || column.kind === "id";
    const keys = Array.from({ length: size }, (_, row) => {
      const value = column.get(row);
      if (isText) return value ? value.toLowerCase() : null;
      return column.kind === "findings" ? value || null : value;
    });
    const values = new Set(keys);
    values.delete(null);
    const order = isText ? [...values].sort() : Float64Array.from(values).sort();
    const places = new Map();
    order.forEach((value, rank) => places.set(value, rank));
    column.ranks = { ranks: Int32Array.from(keys, (key) => places.get(key) ?? -1), last: order.length - 1 };
    return column.ranks;
  }

  // Counts the rows of each rank, and puts each row behind those before it; so rows of equal rank keep their order.
  function sorted(table, rows, key, isDescending) {
    const column = table.columns.find((one) => one.key === key);
    // The rows are in the order of the first column already.
    if (!column || (column === table.columns[0] && !isDescending)) return rows;
    const { ranks, last } = column.base ? ranksOf(column.base, column.baseSize) : ranksOf(column, table.size);
    const { places } = column;
    const placeOf = new Uint32Array(rows.length);
    const starts = new Uint32Array(last + 3);
    for (let at = 0; at < rows.length; at++) {
      const rank = ranks[places ? places[rows[at]] : rows[at]];
      // Rows without a value come last, in both directions.
      const place = rank < 0 ? last + 1 : isDescending ? last - rank : rank;
      placeOf[at] = place;
      starts[place + 1]++;
    }
    for (let place = 1; place < starts.length; place++) starts[place] += starts[place - 1];
    const result = new Uint32Array(rows.length);
    for (let at = 0; at < rows.length; at++) result[starts[placeOf[at]]++] = rows[at];
    return result;
  }

  function selected(tables, state) {
    const table = tables[state.table];
    const words = state.q.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const found = words.map((word) => table.hits(word));
    const tests = table.filters
      .filter((filter) => state[filter.key] !== ALL)
      .map((filter) => filter.test(state[filter.key]));
    for (const kind of ["user", "group"]) {
      if (table.only && state[kind] !== ALL) tests.push(table.only(kind, state[kind]));
    }
    table.all ??= Uint32Array.from({ length: table.size }, (_, row) => row);
    let rows = table.all;
    for (const hit of found) rows = rows.filter((row) => hit[row] === 1);
    for (const test of tests) rows = rows.filter(test);
    return rows;
  }

  function choices(column) {
    const values = new Set();
    for (const text of column.texts) values.add(text);
    const list = [...values].sort();
    return column.rows.includes(0) ? [...list, NONE] : list;
  }

  function makeTables(data) {
    const ids = Object.keys(data.findings);
    const { users, groups } = data;
    const pairs = data.members && unpackPairs(data.members);
    const sizes = data.members && data.members.map((places) => places.length);
    const bits = [users.id.length, groups.id.length, pairs ? pairs.size : 0]
      .map((size, table) => unpackFindings(data.findings, ids, table, size));
    const ofUsers = columnsOfUsers(users, (row) => bits[0][row]);
    const ofGroups = columnsOfGroups(groups, sizes, (row) => bits[1][row]);
    const equals = (get) => (value) => (row) => (get(row) ?? NONE) === value;
    const finding = (table) => ({
      key: "finding", label: "Finding", all: "Any or none", choices: ids.filter((id) => data.findings[id][table].length > 0),
      labelOf: (id) => `${id} ${data.names[id]}`,
      test: (id) => (row) => (bits[table][row] & (1 << ids.indexOf(id))) !== 0 && ids.includes(id),
    });
    const status = (places) => ({
      key: "status", label: "Status", all: "All", choices: choices(users.status),
      test: equals((row) => repeated(users.status)(places ? places[row] : row)),
    });
    const type = (places) => ({
      key: "type", label: "Type", all: "All", choices: choices(groups.type),
      test: equals((row) => repeated(groups.type)(places ? places[row] : row)),
    });
    const tables = {
      users: {
        title: "Users", noun: ["user", "users"], size: users.id.length, ids, columns: ofUsers,
        searched: ofUsers.filter((column) => ["name", "login", "email", "second_email", "id"].includes(column.key)),
        filters: [status(), {
          key: "matched_by", label: "In scope by", all: "All", choices: choices(users.matched_by),
          test: equals(repeated(users.matched_by)),
        }, finding(0)],
      },
      groups: {
        title: "Groups", noun: ["group", "groups"], size: groups.id.length, ids, columns: ofGroups,
        searched: ofGroups.filter((column) => ["name", "description", "id"].includes(column.key)),
        filters: [type(), finding(1)],
      },
    };
    for (const table of Object.values(tables)) table.hits = (word) => hits(table, word);
    if (pairs) {
      const columns = columnsOfMemberships(data, pairs, ofUsers, ofGroups, (row) => bits[2][row]);
      for (const column of columns) {
        if (column.base) column.baseSize = column.places === pairs.users ? tables.users.size : tables.groups.size;
      }
      tables.memberships = {
        title: "Memberships", noun: ["membership", "memberships"], size: pairs.size, ids, columns,
        filters: [status(pairs.users), type(pairs.groups), finding(2)],
        hits: (word) => {
          const [user, group] = [hits(tables.users, word), hits(tables.groups, word)];
          const found = new Uint8Array(pairs.size);
          for (let row = 0; row < pairs.size; row++) found[row] = user[pairs.users[row]] | group[pairs.groups[row]];
          return found;
        },
        only: (kind, id) => {
          const place = (kind === "user" ? users : groups).id.indexOf(id);
          const places = kind === "user" ? pairs.users : pairs.groups;
          return (row) => places[row] === place;
        },
        nameOf: (kind, id) => {
          const rows = kind === "user" ? users : groups;
          return visible(rows.name[rows.id.indexOf(id)] || id);
        },
      };
    }
    return tables;
  }

  // The state of the view is the fragment of the address, so that a view can be linked to.

  const KEYS = ["table", "q", "status", "type", "matched_by", "finding", "user", "group", "sort", "page"];

  function stateOf(fragment, tables) {
    const typed = new URLSearchParams(fragment.replace(/^#/, ""));
    const state = Object.fromEntries(KEYS.map((key) => [key, typed.get(key) ?? ALL]));
    if (!Object.hasOwn(tables, state.table)) state.table = "users";
    state.page = Math.max(1, Number.parseInt(state.page, 10) || 1);
    return state;
  }

  function fragmentOf(state) {
    const kept = KEYS.filter((key) => key === "table" || (state[key] && !(key === "page" && state.page === 1)));
    return `#${new URLSearchParams(kept.map((key) => [key, String(state[key])]))}`;
  }

  // CSV, as `okta-ciam export` writes it: a text that a spreadsheet would run gets an apostrophe.

  function csvCell(column, ids, row) {
    const value = column.get(row);
    if (value === null || value === undefined) return "";
    if (column.kind === "time") return new Date(value).toISOString();
    if (column.kind === "number") return String(value);
    let text = column.kind === "findings" ? named(ids, value) : String(value);
    if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function download(table, name, rows) {
    const lines = [`${table.columns.map((column) => column.key).join(",")}\r\n`];
    for (const row of rows) {
      lines.push(`${table.columns.map((column) => csvCell(column, table.ids, row)).join(",")}\r\n`);
    }
    const url = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
    const link = element("a", { href: url, download: `okta-ciam-${name}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  // The view.

  function classOf(column) {
    const kind = /(^|_)(name|description)$/.exec(column.key)?.[2] ?? column.kind;
    const classes = { number: "number", time: "date", id: "id code", name: "person", description: "prose", findings: "ids" };
    const name = classes[kind] ?? "";
    return column.extra ? `${name} extra` : name;
  }

  function cell(table, column, row, tables) {
    const value = column.get(row);
    const td = element(column === table.columns[0] ? "th" : "td", { class: classOf(column) || null });
    if (column === table.columns[0]) td.scope = "row";
    if (value === null || value === undefined) {
      td.textContent = column.missing?.(row) ?? visible(column.shown?.(row) ?? "");
      return td;
    }
    if (column.kind === "time") {
      td.textContent = new Date(value).toISOString().slice(0, 16).replace("T", " ");
    } else if (column.kind === "number") {
      if (column.link && value > 0 && tables.memberships) {
        const link = element("a", { href: fragmentOf({ ...column.link(row) }), "aria-label": `${number(value)}: ${column.linkLabel(row)}` });
        link.textContent = number(value);
        td.append(link);
      } else td.textContent = number(value);
    } else if (column.kind === "findings") {
      td.textContent = named(table.ids, value);
    } else {
      td.textContent = visible(column.shown ? column.shown(row) : value);
    }
    return td;
  }

  class View {
    constructor(tables) {
      this.tables = tables;
      this.root = byId("explorer");
      this.state = stateOf(location.hash, tables);
      this.build();
      this.refresh();
      this.root.hidden = false;
      addEventListener("hashchange", () => this.follow());
      if (location.hash.includes("table=")) this.reveal();
    }

    // Follows a link to a view; other fragments are places of the page.
    follow() {
      if (!location.hash.includes("table=")) return;
      this.state = stateOf(location.hash, this.tables);
      this.build();
      this.refresh();
      this.reveal();
    }

    reveal() {
      const heading = byId("tables");
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
      heading.scrollIntoView();
    }

    change(values) {
      Object.assign(this.state, { page: 1 }, values);
      this.refresh();
      try {
        history.replaceState(null, "", fragmentOf(this.state));
      } catch {
        // A page inside another may not change its address.
      }
    }

    get table() {
      return this.tables[this.state.table];
    }

    build() {
      const { state, table } = this;
      const tabs = Object.entries(this.tables).map(([name, one]) => {
        const size = element("span", { class: "size" }, number(one.size));
        const link = { href: `#table=${name}`, "aria-current": name === state.table && "true" };
        return element("li", {}, element("a", link, one.title, " ", size));
      });
      this.search = element("input", {
        type: "search", autocomplete: "off", spellcheck: "false",
        oninput: () => this.change({ q: this.search.value }),
      });
      this.search.value = state.q;
      this.selects = table.filters.filter((filter) => filter.choices.length > 0).map((filter) => {
        const labelOf = filter.labelOf ?? visible;
        const options = [[ALL, filter.all], ...filter.choices.map((value) => [value, labelOf(value)])];
        const select = element("select", { onchange: () => this.change({ [filter.key]: select.value }) },
          ...options.map(([value, label]) => element("option", { value }, label)));
        select.value = state[filter.key];
        return field(filter.key, filter.label, select);
      });
      this.count = element("p", { role: "status", "aria-live": "polite" });
      this.chips = element("span", {});
      this.head = table.columns.map((column) => this.header(column));
      this.body = element("tbody", {});
      this.scroller = element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table of ${table.noun[1]}` },
        element("table", {},
          element("caption", { class: "hidden" }, `${table.title} of the snapshot; the buttons of the header sort it`),
          element("thead", {}, element("tr", {}, ...this.head)),
          this.body));
      this.buildPages();
      this.save = element("button", { type: "button", class: "save", onclick: () => download(table, state.table, this.rows) }, "Download rows as CSV");
      this.clear = element("button", { type: "button", onclick: () => this.reset() }, "Clear filters");
      this.root.replaceChildren(
        element("nav", { "aria-label": "Tables" }, element("ul", { class: "tabs" }, ...tabs)),
        element("div", { class: "controls" },
          field("search", `Search ${table.noun[1]}`, this.search), ...this.selects),
        element("div", { class: "count-line" }, this.count, this.chips, this.clear, this.save),
        this.scroller, this.pages);
    }

    header(column) {
      const button = element("button", {
        type: "button",
        onclick: () => {
          const isAscending = this.sort.key === column.key && !this.sort.isDescending;
          this.change({ sort: (isAscending ? "-" : "") + column.key });
        },
      }, column.title);
      const name = `${column.kind === "number" ? "number" : ""} ${column.extra ? "extra" : ""}`.trim();
      return element("th", { scope: "col", class: name || null }, button);
    }

    buildPages() {
      const button = (label, page) => element("button", {
        type: "button",
        onclick: (event) => {
          this.change({ page: page() });
          this.scroller.scrollIntoView({ block: "nearest" });
          // A button that is disabled loses the focus to the start of the page.
          if (event.currentTarget.disabled) this.scroller.focus({ preventScroll: true });
        },
      }, label);
      this.first = button("First", () => 1);
      this.previous = button("Previous", () => this.state.page - 1);
      this.next = button("Next", () => this.state.page + 1);
      this.last = button("Last", () => this.lastPage);
      this.where = element("span", {});
      this.pages = element("nav", { class: "pages", "aria-label": "Pages of the table" },
        this.first, this.previous, this.where, this.next, this.last);
    }

    reset() {
      const { table, sort } = this.state;
      this.state = { ...stateOf("", this.tables), table };
      this.build();
      this.change({ sort });
      this.search.focus();
    }

    get sort() {
      const key = this.state.sort.replace(/^-/, "");
      const isKnown = this.table.columns.some((column) => column.key === key);
      return {
        key: isKnown ? key : this.table.columns[0].key,
        isDescending: isKnown && this.state.sort.startsWith("-"),
      };
    }

    refresh() {
      const { state, table, sort } = this;
      this.rows = sorted(table, selected(this.tables, state), sort.key, sort.isDescending);
      this.lastPage = Math.max(1, Math.ceil(this.rows.length / PAGE));
      state.page = Math.min(state.page, this.lastPage);
      const start = (state.page - 1) * PAGE;
      const shown = this.rows.subarray(start, start + PAGE);
      const lines = Array.from(shown, (row) =>
        element("tr", {}, ...table.columns.map((column) => cell(table, column, row, this.tables))));
      if (lines.length === 0) {
        lines.push(element("tr", {}, element("td", { class: "empty", colspan: table.columns.length }, "No rows match.")));
      }
      this.body.replaceChildren(...lines);
      table.columns.forEach((column, at) => {
        const direction = sort.isDescending ? "descending" : "ascending";
        if (column.key === sort.key) this.head[at].setAttribute("aria-sort", direction);
        else this.head[at].removeAttribute("aria-sort");
      });
      this.describe(start, shown.length);
    }

    describe(start, length) {
      const { state, table } = this;
      const noun = table.noun[table.size === 1 ? 0 : 1];
      const rows = length ? `; rows ${number(start + 1)} to ${number(start + length)}` : "";
      this.count.textContent = `${number(this.rows.length)} of ${number(table.size)} ${noun}${rows}`;
      const chips = ["user", "group"].filter((kind) => table.nameOf && state[kind] !== ALL);
      this.chips.replaceChildren(...chips.map((kind) => {
        const name = table.nameOf(kind, state[kind]);
        const attributes = { type: "button", class: "chip", "aria-label": `Remove the filter: ${kind} ${name}` };
        return element("button", { ...attributes, onclick: () => this.change({ [kind]: ALL }) }, `${kind}: ${name} ×`);
      }));
      const filters = [...table.filters.map((filter) => filter.key), "q", "user", "group"];
      this.clear.hidden = filters.every((key) => state[key] === ALL);
      this.save.disabled = this.rows.length === 0;
      this.where.textContent = `Page ${number(state.page)} of ${number(this.lastPage)}`;
      this.pages.hidden = this.lastPage === 1;
      this.first.disabled = this.previous.disabled = state.page === 1;
      this.next.disabled = this.last.disabled = state.page === this.lastPage;
    }
  }

  async function start() {
    const loading = byId("loading");
    loading.hidden = false;
    try {
      const tables = makeTables(await unpack());
      loading.hidden = true;
      document.querySelectorAll(".scripted").forEach((one) => { one.hidden = false; });
      new View(tables);
      // So that the first search is as fast as the others.
      setTimeout(() => [tables.users, tables.groups].forEach(haystacks), 100);
      document.documentElement.dataset.ready = "true";
    } catch (error) {
      loading.textContent = "This browser cannot unpack the tables. Use a browser from 2023 or later; okta-ciam export writes the same rows.";
      console.error(error);
    }
  }

  // A closed finding prints its rows too.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details.finding").forEach((one) => { one.open = true; });
  });
  start();
})();
