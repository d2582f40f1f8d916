// The form for credentials, where the server wants some. What it is given goes to the server once and is kept nowhere here.
import { useState } from 'preact/hooks'
import { needsSession, Problem, send } from './api'
import { t } from './text'

export function Session() {
	const [problem, setProblem] = useState<Problem | null>(null)
	const [busy, setBusy] = useState(false)
	const begin = async (e: SubmitEvent) => {
		e.preventDefault()
		const form = new FormData(e.currentTarget as HTMLFormElement)
		const user = String(form.get('user') ?? '')
		const secret = String(form.get('secret') ?? '')
		setBusy(true)
		try {
			await send('/ui/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(user ? { user, password: secret } : { token: secret }) })
			location.reload()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
		}
	}
	return (
		<main id="main" class="session">
			<h1>{t.session}</h1>
			<form onSubmit={e => void begin(e)}>
				<label>{t.user} <span class="dim">{t.userOptional}</span><input name="user" autocomplete="username" /></label>
				<label>{t.secret}<input name="secret" type="password" autocomplete="current-password" required autofocus /></label>
				{problem && <p class="bad" role="alert">{problem.detail || t.offline} {problem.hint}</p>}
				<button type="submit" class="main" disabled={busy}>{t.begin}</button>
			</form>
		</main>
	)
}

export async function endSession() {
	await send('/ui/session', { method: 'DELETE' }).catch(() => undefined)
	needsSession.value = true
	location.reload()
}
