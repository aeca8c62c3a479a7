import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SaxesParser } from 'saxes'
import { envelopeOf, wrap } from './envelope.ts'

test('the envelope is the command in lower case + response', () => {
  assert.equal(envelopeOf('deployVirtualMachine'), 'deployvirtualmachineresponse')
})

test('JSON has one key, and its content type says so', () => {
  const { contentType, body } = wrap('json', 'listzonesresponse', { count: 1, zone: [{ id: 'z' }] })
  assert.equal(contentType, 'application/json; charset=UTF-8')
  assert.deepEqual(JSON.parse(body), { listzonesresponse: { count: 1, zone: [{ id: 'z' }] } })
})

test('XML carries the version, repeats the element of a list and nests objects', () => {
  const { contentType, body } = wrap('xml', 'listzonesresponse', {
    count: 2,
    zone: [
      { id: 'a', details: { k: 'v' } },
      { id: 'b', empty: [] },
    ],
  })
  assert.equal(contentType, 'text/xml; charset=UTF-8')
  assert.equal(
    body,
    '<?xml version="1.0" encoding="UTF-8"?><listzonesresponse cloud-stack-version="4.20.0.0"><count>2</count>' +
      '<zone><id>a</id><details><k>v</k></details></zone><zone><id>b</id></zone></listzonesresponse>',
  )
})

test('XML leaves out what has no value and survives any text', () => {
  const text = `<b>"R&D"</b> it's ü`
  const { body } = wrap('xml', 'r', { name: text, gone: null, never: undefined })
  let read = ''
  const parser = new SaxesParser()
  parser.on('text', part => {
    read += part
  })
  parser.write(body).close()
  assert.equal(read, text)
  assert.ok(!body.includes('gone') && !body.includes('never'))
})

test('XML stays well-formed whatever a guest wrote to its console', () => {
  const { body } = wrap('xml', 'r', { output: '\u001B[31mred\n\u0000\uFFFE\uD800' })
  new SaxesParser().write(body).close()
  assert.match(body, /<output>\uFFFD\[31mred\n\uFFFD{3}<\/output>/)
})
