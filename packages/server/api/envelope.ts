// The envelope of an answer, as JSON or XML: one top-level key and nothing beside it (cloudstack-api 1.4).
import type { Answer } from './command.ts'

export const cloudstackVersion = '4.20.0.0'

export type Format = 'json' | 'xml'

export function envelopeOf(command: string): string {
  return `${command.toLowerCase()}response`
}

export function wrap(format: Format, envelope: string, answer: Answer): { contentType: string; body: string } {
  if (format === 'json')
    return { contentType: 'application/json; charset=UTF-8', body: JSON.stringify({ [envelope]: answer }) }
  const inner = xmlFields(answer)
  const body = `<?xml version="1.0" encoding="UTF-8"?><${envelope} cloud-stack-version="${cloudstackVersion}">${inner}</${envelope}>`
  return { contentType: 'text/xml; charset=UTF-8', body }
}

/** Arrays repeat their element; objects nest; everything else is text. */
function xmlFields(fields: Answer): string {
  return Object.entries(fields)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map(each => xmlElement(name, each)))
    .join('')
}

function xmlElement(name: string, value: unknown): string {
  if (value === null || value === undefined) return ''
  const inner =
    typeof value === 'object' ? xmlFields(value as Answer) : escapeXml(`${value as string | number | boolean}`)
  return `<${name}>${inner}</${name}>`
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

/** A guest's console may hold any character; what XML 1.0 cannot carry in any form becomes the replacement character. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/(?![\t\n\r])[\p{Cc}\uFFFE\uFFFF]/gu, '\uFFFD')
    .replaceAll(/[&<>"']/g, character => entities[character] ?? '')
}
