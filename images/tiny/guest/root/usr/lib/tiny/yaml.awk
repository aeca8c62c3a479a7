# Reads the part of YAML that seeds are written in, all of JSON included, and prints each leaf as `path=value`:
#
#   chpasswd: {list: ["root:secret"]}     chpasswd.list.0=root:secret
#
# In a value, \\ is a backslash and \n a line break. What is not understood (anchors, aliases, tags, tabs as indentation)
# ends the reading with one line `!line 7: ...`: half a seed is worse than none.

{ sub(/\r$/, ""); line[NR] = $0 }

END {
  at = 1
  skip()
  if (line[at] ~ /^---( |$)/) { line[at] = "   " substr(line[at], 4); skip() }
  if (at > NR) exit 0
  node("", indent())
  skip()
  if (!failed && at <= NR && line[at] !~ /^(\.\.\.|---)( |$)/) fail("this belongs to nothing above it")
  exit failed
}

function fail(why) {
  if (!failed) print "!line " at ": " why
  failed = 1
  at = NR + 1
}

function emit(path, text) {
  if (failed) return
  gsub(/\\/, "\\\\", text)
  gsub(/\n/, "\\n", text)
  print substr(path, 2) "=" text
}

function plain(path, text) {
  emit(path, text ~ /^(~|null|Null|NULL)$/ ? "" : text)
}

# A name may hold what we use in paths; no name that we look for does.
function under(path, name) {
  gsub(/[.=]/, "_", name)
  return path "." name
}

function skip() { while (at <= NR && line[at] ~ /^[ ]*(#.*)?$/) at++ }

function indent() {
  match(line[at], /[^ ]/)
  if (substr(line[at], RSTART, 1) == "\t") fail("a tab cannot indent")
  return RSTART - 1
}

function trim(text) { sub(/^[ \t]+/, "", text); sub(/[ \t]+$/, "", text); return text }

function is_item(text) { return text ~ /^-( |$)/ }

# Sets `name` and `rest`.
function is_pair(text) {
  if (match(text, /^"([^"\\]|\\.)*"[ ]*:( |$)/) || match(text, /^'[^']*'[ ]*:( |$)/)) {
    name = substr(text, 1, RLENGTH)
    rest = substr(text, RLENGTH + 1)
    sub(/[ ]*:[ ]?$/, "", name)
    name = substr(name, 2, length(name) - 2)
    return 1
  }
  if (text ~ /^[][{}"'#&*!|>%@`,]/ || !match(text, /:( |$)/)) return 0
  name = trim(substr(text, 1, RSTART - 1))
  rest = substr(text, RSTART + 1)
  return name !~ / #/
}

function node(path, depth,   text) {
  text = substr(line[at], depth + 1)
  if (is_item(text)) items(path, depth)
  else if (is_pair(text)) pairs(path, depth)
  else content(path, text, depth - 1, 0)
}

function pairs(path, depth) {
  for (skip(); at <= NR && indent() == depth; skip()) {
    if (is_item(substr(line[at], depth + 1))) return
    if (line[at] ~ /^(---|\.\.\.)( |$)/) return
    if (!is_pair(substr(line[at], depth + 1))) return fail("a name and a colon were expected")
    content(under(path, name), rest, depth, 1)
  }
  if (at <= NR && indent() > depth) fail("this is indented more than what it belongs to")
}

function items(path, depth,   count, text, inner) {
  for (skip(); at <= NR && indent() == depth && is_item(substr(line[at], depth + 1)); skip()) {
    text = substr(line[at], depth + 2)
    inner = depth + 1 + (match(text, /[^ ]/) ? RSTART - 1 : 0)
    text = trim(text)
    if (is_item(text) || is_pair(text)) {
      line[at] = sprintf("%" inner "s", "") text
      node(path "." count + 0, inner)
    } else content(path "." count + 0, text, depth, 0)
    count++
  }
  if (at <= NR && indent() > depth) fail("this is indented more than what it belongs to")
}

# What follows a colon or a dash; `depth` is the indentation that its further lines must exceed.
function content(path, text, depth, in_pair) {
  text = trim(text)
  if (text == "" || text ~ /^#/) {
    at++
    skip()
    if (at <= NR && (indent() > depth || (in_pair && indent() == depth && is_item(substr(line[at], depth + 1))))) node(path, indent())
    else emit(path, "")
  } else if (text ~ /^[|>]/) block(path, text, depth)
  else if (text ~ /^[[{"']/) {
    flow = text
    flow_value(path)
    if (trim(flow) !~ /^(#.*)?$/) fail("something follows the end of a value")
    at++
  } else if (text ~ /^[&*!%@`]/) fail("anchors, aliases and tags are not supported")
  else several_lines(path, text, depth)
}

function several_lines(path, text, depth,   breaks) {
  sub(/[ \t]+#.*/, "", text)
  for (at++; at <= NR && (line[at] ~ /^ *$/ || (indent() > depth && line[at] !~ /^ *#/)); at++) {
    if (line[at] ~ /^ *$/) { breaks = breaks "\n"; continue }
    sub(/[ \t]+#.*/, "", line[at])
    text = text (breaks == "" ? " " : breaks) trim(line[at])
    breaks = ""
  }
  plain(path, text)
}

# `|` keeps line breaks and `>` makes spaces of them; - and + say what becomes of those at the end.
function block(path, header, depth,   folds, chomp, inner, out, pending, text, was_text, is_text) {
  folds = (header ~ /^>/)
  sub(/[ \t]+#.*/, "", header)
  if (header !~ /^[|>][-+1-9]*$/) return fail("this cannot follow | or >")
  chomp = header ~ /-/ ? "-" : header ~ /\+/ ? "+" : ""
  inner = match(header, /[1-9]/) ? (depth < 0 ? 0 : depth) + substr(header, RSTART, 1) : 0
  for (at++; at <= NR; at++) {
    if (line[at] ~ /^ *$/ && (inner == 0 || length(line[at]) <= inner)) { pending = pending "\n"; continue }
    if (inner == 0) inner = indent() > depth ? indent() : -1
    if (inner < 0 || indent() < inner) break
    text = substr(line[at], inner + 1)
    is_text = (text !~ /^[ \t]/)
    if (folds && was_text && is_text) out = out (pending == "\n" ? " " : substr(pending, 2)) text
    else out = out pending text
    was_text = is_text
    pending = "\n"
  }
  if (chomp == "") pending = out == "" ? "" : "\n"
  emit(path, out (chomp == "-" ? "" : pending))
}

# Flow: {...}, [...] and quotes. `flow` holds what is left of the line, and more lines come as they are needed.
function flow_space() {
  for (;;) {
    sub(/^[ \t]+/, "", flow)
    if (flow != "" && flow !~ /^#/) return
    if (at >= NR) { flow = ""; return }
    flow = line[++at]
  }
}

function flow_value(path,   first) {
  flow_space()
  first = substr(flow, 1, 1)
  if (first == "{") flow_pairs(path)
  else if (first == "[") flow_items(path)
  else if (first == "\"" || first == "'") emit(path, quoted())
  else if (first == "" ) fail("a bracket is not closed")
  else if (first ~ /[&*!%@`]/) fail("anchors, aliases and tags are not supported")
  else plain(path, flow_plain())
}

function flow_plain(   text) {
  text = match(flow, /[][{},]|:( |$)| #/) ? substr(flow, 1, RSTART - 1) : flow
  flow = substr(flow, length(text) + 1)
  return trim(text)
}

function flow_pairs(path,   key) {
  flow = substr(flow, 2)
  for (flow_space(); flow !~ /^}/; flow_space()) {
    if (failed || flow == "") return fail("a { is not closed")
    key = flow ~ /^["']/ ? quoted() : flow_plain()
    if (key == "") return fail("a name was expected")
    flow_space()
    if (sub(/^:/, "", flow)) flow_value(under(path, key))
    else emit(under(path, key), "")
    flow_space()
    if (flow !~ /^[},]/) return fail("a comma or } was expected")
    sub(/^,/, "", flow)
  }
  flow = substr(flow, 2)
}

function flow_items(path,   count) {
  flow = substr(flow, 2)
  for (flow_space(); flow !~ /^\]/; flow_space()) {
    if (failed || flow == "") return fail("a [ is not closed")
    flow_value(path "." count + 0)
    count++
    flow_space()
    if (flow !~ /^[],]/) return fail("a comma or ] was expected")
    sub(/^,/, "", flow)
  }
  flow = substr(flow, 2)
}

# The text between quotes, from `flow`. A line break in it counts as a space, empty lines as line breaks.
function quoted(   mark, out, breaks) {
  mark = substr(flow, 1, 1)
  flow = substr(flow, 2)
  for (;;) {
    if (!match(flow, mark == "'" ? "'" : "[\"\\\\]")) {
      sub(/[ \t]+$/, "", flow)
      out = out flow
      for (breaks = ""; at < NR && line[++at] ~ /^[ \t]*$/; ) breaks = breaks "\n"
      if (at >= NR && line[at] !~ mark) { fail("a quote is not closed"); return "" }
      flow = trim(line[at])
      out = out (breaks == "" ? " " : breaks)
      continue
    }
    out = out substr(flow, 1, RSTART - 1)
    first_ = substr(flow, RSTART, 1)
    flow = substr(flow, RSTART + 1)
    if (first_ == "\\") out = out escaped()
    else if (mark == "'" && flow ~ /^'/) { out = out "'"; flow = substr(flow, 2) }
    else return out
  }
}

function escaped(   letter, code) {
  letter = substr(flow, 1, 1)
  flow = substr(flow, 2)
  if (letter == "") { flow = at < NR ? trim(line[++at]) : ""; return "" }
  if (index("xuU", letter)) {
    code = hex(letter == "x" ? 2 : letter == "u" ? 4 : 8)
    # Beyond 16 bits, JSON writes two halves.
    if (code >= 55296 && code < 56320 && flow ~ /^\\u[dD][c-fC-F]/) {
      flow = substr(flow, 3)
      code = 65536 + (code - 55296) * 1024 + hex(4) - 56320
    }
    return utf8(code)
  }
  if (letter in escape) return escape[letter]
  fail("a backslash before " letter " is not supported")
  return ""
}

BEGIN {
  escape["n"] = "\n"; escape["t"] = "\t"; escape["r"] = "\r"; escape["b"] = "\b"; escape["f"] = "\f"; escape["e"] = "\033"
  escape["\""] = "\""; escape["\\"] = "\\"; escape["/"] = "/"; escape[" "] = " "; escape["a"] = "\007"; escape["v"] = "\013"
}

function hex(digits,   code, i) {
  for (i = 1; i <= digits; i++) code = code * 16 + index("123456789abcdef", tolower(substr(flow, i, 1)))
  flow = substr(flow, digits + 1)
  return code
}

function utf8(code) {
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
