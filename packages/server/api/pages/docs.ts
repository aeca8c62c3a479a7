// GET /docs: the API as a page, made from the same declarations as listApis. It reads without scripts; the search box
// needs one small script of our own.
import type { FastifyInstance } from 'fastify'
import type { App } from '../../app.ts'
import { commands } from '../commands/index.ts'
import { type ApiDescription, describeApi, type FieldDescription, type ParameterDescription } from '../describe.ts'

export function openDocs(server: FastifyInstance, _app: App): void {
  const page = docsPage(describeApi(commands))
  server.get('/', async (_request, reply) => reply.redirect('/docs'))
  server.get('/docs', async (_request, reply) => reply.type('text/html; charset=utf-8').send(page))
  server.get('/docs.js', async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(script))
  server.get('/docs.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(style))
}

export function docsPage(apis: readonly ApiDescription[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ramet API</title>
<link rel="stylesheet" href="/docs.css">
<script src="/docs.js" defer></script>
</head>
<body>
<header>
<h1>Ramet API</h1>
<p>Every command is a GET or POST to <code>/client/api</code> with <code>command=NAME</code> and, for JSON,
<code>response=json</code>. Asynchronous ones answer a job, to be asked for with <code>queryAsyncJobResult</code>.</p>
<p role="search" hidden><label for="search">Search</label> <input id="search" type="search" autocomplete="off">
<output id="found" for="search">${apis.length} commands</output></p>
</header>
<main>
${apis.map(section).join('\n')}
</main>
</body>
</html>
`
}

function section({ name, description, isasync, permission, params, response }: ApiDescription): string {
  const notes = [
    isasync && 'asynchronous',
    permission.endsWith('admin') && `${permission === 'admin' ? 'administrators' : 'administrators of domains'} only`,
  ].filter(Boolean)
  return `<section id="${name}" aria-labelledby="${name}-title">
<h2 id="${name}-title"><a href="#${name}">${name}</a></h2>
<p>${escape(description)}.${notes.length > 0 ? ` <small>${notes.join(', ')}</small>` : ''}</p>
${params.length > 0 ? parameterTable(params) : '<p>No parameters.</p>'}
${response.length > 0 ? `<details><summary>Answer</summary>${fieldList(response)}</details>` : ''}
</section>`
}

function parameterTable(params: readonly ParameterDescription[]): string {
  const rows = params.map(
    ({ name, type, required, description }) =>
      `<tr><th scope="row"><code>${name}</code>${required ? ' <em>required</em>' : ''}</th><td>${type}</td><td>${escape(description)}</td></tr>`,
  )
  return `<table><thead><tr><th scope="col">Parameter</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`
}

function fieldList(fields: readonly FieldDescription[]): string {
  const items = fields.map(
    ({ name, type, description, response }) =>
      `<li><code>${name}</code> <small>${type}</small> ${escape(description)}${response ? fieldList(response) : ''}</li>`,
  )
  return `<ul>${items.join('\n')}</ul>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

const script = `const box = document.querySelector('#search')
const sections = [...document.querySelectorAll('section')]
const texts = sections.map(section => section.textContent.toLowerCase())

function search() {
  const words = box.value.toLowerCase().split(/\\s+/)
  sections.forEach((section, i) => { section.hidden = !words.every(word => texts[i].includes(word)) })
  const found = sections.filter(section => !section.hidden).length
  document.querySelector('#found').textContent = found === 1 ? '1 command' : found + ' commands'
}

box.addEventListener('input', search)
box.closest('[role=search]').hidden = false
search()
`

const style = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
section { border-top: 1px solid #8886; padding: .5rem 0 }
h2 { font-size: 1.15rem; margin: .5rem 0 }
h2 a { color: inherit }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .15rem .75rem .15rem 0; font-weight: normal }
thead th { font-weight: 600 }
input { font: inherit; padding: .25rem .5rem; width: 20rem; max-width: 100% }
`
