// Opens a URL that a user gave, with no trust in it or in what answers: only http and https, no credentials, a few
// redirects that are each checked afresh, and time limits on everything that waits for the other side.
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Problem } from '@ramet/core/problem.ts'
import { lookupPublic, refuseNonPublicLiteral } from './addresses.ts'

export interface DownloadRules {
  readonly allowPrivate: boolean
  /** From the look-up of the name to the end of the TLS handshake. */
  readonly connectMs?: number
  readonly idleMs?: number
}

const mostRedirects = 3

/** The answer to a GET of `address`, with status 200 and its body unread. */
export async function openDownload(
  address: string,
  rules: DownloadRules,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = acceptUrl(address)
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const response = await get(url, rules, signal)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    if (statusCode < 300 || statusCode >= 400 || headers.location === undefined) {
      throw failed(url, `${url.host} answered ${statusCode} ${response.statusMessage ?? ''}`.trim())
    }
    url = acceptUrl(headers.location, url)
  }
  throw failed(url, `it was redirected more than ${mostRedirects} times`)
}

export function acceptUrl(address: string, base?: URL): URL {
  const url = URL.parse(address, base?.href)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new Problem('invalid', 'url-not-supported', `"${address}" is not a URL that begins with http:// or https://`)
  }
  if (url.username !== '' || url.password !== '') {
    const reason = 'would be kept and shown with the template; offer the image at a URL that needs none'
    throw new Problem('invalid', 'url-not-supported', `A user name or password in the URL ${reason}`)
  }
  return url
}

function get(url: URL, rules: DownloadRules, signal: AbortSignal): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!rules.allowPrivate) refuseNonPublicLiteral(host)
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const request = send(url, {
      agent: false, // no connection of somebody else's is used again
      signal,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'ramet' },
      ...(rules.allowPrivate ? {} : { lookup: lookupPublic }),
    })
    limitTime(request, url, rules)
    request.on('response', resolve)
    request.on('error', error => reject(downloadProblem(url, error, signal)))
    request.end()
  })
}

function limitTime(request: ClientRequest, url: URL, { connectMs = 15_000, idleMs = 30_000 }: DownloadRules): void {
  const late = () =>
    request.destroy(failed(url, `${url.host} did not accept a connection within ${connectMs / 1000} s`))
  const timer = setTimeout(late, connectMs)
  request.on('close', () => clearTimeout(timer))
  request.on('socket', socket => {
    socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer))
  })
  // On the socket, so it goes on watching while the body arrives.
  request.setTimeout(idleMs, () => request.destroy(failed(url, `${url.host} sent nothing for ${idleMs / 1000} s`)))
}

/** `error`, met while `url` was opened or read, as what the user is told. */
export function downloadProblem(url: URL, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (error instanceof Problem) return error
  return failed(url, error instanceof Error ? error.message : String(error), error)
}

function failed(url: URL, why: string, cause?: unknown): Problem {
  const text = `${url.origin}${url.pathname} could not be downloaded: ${why}; check the URL, or try again later`
  return new Problem('invalid', 'download-failed', text, { cause })
}
