// Made by agent-vault: `vault connect opencode` writes this file, `vault disconnect opencode` removes it. Edits are lost.
//
// For each provider in SERVED, OpenCode's auth.json has an entry whose secret is the placeholder `vault:PROVIDER`. OpenCode's own
// code puts it into a request wherever that provider wants its key; right before the request leaves, it is replaced by what the
// vault says then. So a rotation, an order or a new login counts from the next request on. When the vault can't answer, the
// request fails with the vault's sentence; a placeholder never leaves.
import { execFile } from "node:child_process"

const SERVED = {}

const MARK = "vault:"
const SECONDS = 30
const GUARDED = Symbol.for("agent-vault")
const CLAUDE_TOKEN = "sk-ant-oat"
const CHATGPT = "https://api.openai.com/auth"

const plain = globalThis.fetch[GUARDED] ?? globalThis.fetch

function ask(id) {
  const [command, ...words] = SERVED[id].ask
  return new Promise((resolve, reject) => {
    const done = (error, out, said) => {
      const secret = out.trim()
      if (!error && secret) return resolve(secret)
      const why = said.trim().split("\n").pop()
      if (why) return reject(new Error(why))
      const what = error?.killed ? `did not answer within ${SECONDS} seconds` : `can't be run (${error?.code ?? "no answer"})`
      reject(new Error(`vault: ${command} ${what}; try it by hand: vault ${words.join(" ")}`))
    }
    const child = execFile(command, words, { encoding: "utf8", timeout: SECONDS * 1000, windowsHide: true }, done)
    child.stdin?.end()
  })
}

// The placeholder at the end of a header's or a query parameter's value, and whose it is.
function found(value) {
  const at = value.lastIndexOf(MARK)
  if (at < 0 || (at > 0 && value[at - 1] !== " ")) return undefined
  const id = value.slice(at + MARK.length)
  if (!/^[a-z0-9._-]+$/.test(id)) return undefined
  if (!Object.hasOwn(SERVED, id))
    throw new Error(`vault: nothing here serves ${id} to OpenCode; vault connect opencode --provider ${id}`)
  return { id, before: value.slice(0, at) }
}

function chatgptAccount(token) {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString("utf8"))
    return claims[CHATGPT] ? (claims[CHATGPT].chatgpt_account_id ?? "") : undefined
  } catch {
    return undefined
  }
}

// What a kind of credential wants besides standing where the placeholder stood.
function fit(id, secret, url, headers) {
  if (id === "anthropic" && secret.startsWith(CLAUDE_TOKEN) && headers.has("x-api-key")) {
    headers.delete("x-api-key")
    headers.set("authorization", `Bearer ${secret}`)
    const beta = headers.get("anthropic-beta")
    headers.set("anthropic-beta", beta ? `${beta},oauth-2025-04-20` : "oauth-2025-04-20")
  }
  if (id === "openai") {
    const account = chatgptAccount(secret)
    const again = "run vault connect opencode --provider openai again"
    if (url.hostname === "chatgpt.com" && account === undefined)
      throw new Error(`vault: OpenCode is set up for a ChatGPT sign-in, and the vault's credential of openai is another; ${again}`)
    if (url.hostname === "api.openai.com" && account !== undefined)
      throw new Error(`vault: OpenCode is set up for an API key, and the vault's credential of openai is a ChatGPT sign-in; ${again}`)
    if (account && url.hostname === "chatgpt.com") headers.set("chatgpt-account-id", account)
  }
}

// The arguments of a fetch with the placeholders replaced; the same arguments where there is none.
async function filled(input, init) {
  const from = init?.headers ?? (input instanceof Request ? input.headers : undefined)
  const headers = new Headers(from)
  const address = input instanceof Request ? input.url : String(input)
  const url = URL.canParse(address) ? new URL(address) : undefined
  const spots = []
  for (const [name, value] of headers) {
    const spot = found(value)
    if (spot) spots.push({ ...spot, put: (secret) => headers.set(name, spot.before + secret) })
  }
  let moved = false
  for (const [name, value] of url?.searchParams ?? []) {
    const spot = found(value)
    if (!spot) continue
    moved = true
    spots.push({ ...spot, put: (secret) => url.searchParams.set(name, spot.before + secret) })
  }
  if (!spots.length) return [input, init]
  const secrets = new Map()
  for (const id of new Set(spots.map((spot) => spot.id))) secrets.set(id, await ask(id))
  for (const spot of spots) spot.put(secrets.get(spot.id))
  for (const [id, secret] of secrets) fit(id, secret, url, headers)
  const target = !moved ? input : input instanceof Request ? new Request(url, input) : url.href
  return [target, { ...init, headers }]
}

async function asking(input, init) {
  return plain(...(await filled(input, init)))
}

// OpenCode's own sign-in plugins (ChatGPT, Copilot) send requests past the loader's fetch, with the placeholder as their token.
function guard() {
  if (globalThis.fetch[GUARDED]) return
  globalThis.fetch = Object.assign((input, init) => asking(input, init), plain, { [GUARDED]: plain })
}

const serve = (id) => async () => {
  guard()
  if (SERVED[id].login) return {}
  return {
    auth: {
      provider: id,
      methods: [{ type: "api", label: "API key" }],
      async loader(getAuth) {
        const auth = await getAuth()
        const injected = process.env.OPENCODE_AUTH_CONTENT && auth?.key !== MARK + id
        if (auth?.type !== "api" || injected) return {}
        return { apiKey: MARK + id, fetch: asking }
      },
    },
  }
}

