// Objects of a list, all pages of it.
import { type Fields, isFields } from '@ramet/client/api-error.ts'
import type { Client } from '@ramet/client/client.ts'

const pagesize = 500

export async function listed(
  client: Client,
  command: string,
  object: string,
  filter: Record<string, string | boolean> = {},
): Promise<Fields[]> {
  const all: Fields[] = []
  for (let page = 1; ; page++) {
    const answer = await client.call(command, { ...filter, page, pagesize })
    const found = answer[object]
    if (Array.isArray(found)) all.push(...found.filter(isFields))
    if (all.length >= Number(answer['count'] ?? 0) || !Array.isArray(found) || found.length === 0) return all
  }
}

export function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
