// SOAP 1.1 around calls and answers.
import { ServerSilent, faultOf } from './faults.ts'
import type { Answer } from './transport.ts'
import { type Element, readXml } from './xml.ts'

export function envelope(body: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"' +
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">' +
    `<soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`
  )
}

/** The element of the response inside the SOAP body; a fault in it is thrown. */
export function bodyOf(answer: Answer): Element {
  const root = read(answer)
  const response = root.children.find(({ name }) => name === 'Body')?.children[0]
  if (root.name !== 'Envelope' || !response)
    throw new ServerSilent(`The server answers with HTTP ${answer.status} and no SOAP`, true)
  if (response.name === 'Fault') throw faultOf(response)
  return response
}

function read(answer: Answer): Element {
  const charset = /charset="?([^\s";]+)/i.exec(answer.contentType)?.[1]
  if (charset !== undefined && !/^utf-8$/i.test(charset))
    throw new ServerSilent(`The server answers in ${charset}, and not in UTF-8`, true)
  try {
    return readXml(answer.body)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ServerSilent(`The server's answer, HTTP ${answer.status}, is not understood: ${why}`, true, { cause })
  }
}

/** The versions of vim25 that a server lists. */
export function versionsIn(answer: Answer): string[] {
  if (answer.status !== 200) return []
  const root = read(answer)
  const ours = root.children.find(({ children }) => children.some(({ text }) => text.trim() === 'urn:vim25'))
  const all = (element: Element): Element[] => [element, ...element.children.flatMap(all)]
  return ours ? all(ours).flatMap(({ name, text }) => (name === 'version' ? [text.trim()] : [])) : []
}
