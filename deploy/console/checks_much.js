// Checks of much of anything: many runs, many points, long logs, fast events; and of two times.
const { waitMillis } = require('./world.js')

module.exports = (check, w, { must, same }) => {
  const batches = async (n, at, make) => {
    for (let i = 0; i < n; i += at) await Promise.all(Array.from({ length: Math.min(at, n - i) }, (_, k) => make(i + k)))
  }
  // frames are how long those took that were drawn while something was done, in ms: the 95th of a hundred.
  const frames = (page, act) => page.evaluate(async act => {
    const took = []
    let before = performance.now()
    let on = true
    const tick = now => { took.push(now - before); before = now; if (on) requestAnimationFrame(tick) }
    requestAnimationFrame(tick)
    await new Function('return (async () => {' + act + '})()')()
    on = false
    took.sort((a, b) => a - b)
    return took[Math.floor(took.length * 0.95)]
  }, act)

  check('12 the shell is painted, and data comes', async () => {
    const all = []
    for (const [name, at] of [['overview', '/ui/'], ['runs', '/ui/runs'], ['events', '/ui/events/user-events'], ['models', '/ui/models']]) {
      const page = await w.open(at, { bare: true })
      await page.locator('main h1').first().waitFor({ timeout: waitMillis })
      await w.settled(page)
      const [paint, data] = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0]?.startTime, Math.max(...performance.getEntriesByType('resource').filter(r => r.name.includes('/api/v1/') && !r.name.includes('/live')).map(r => r.responseEnd))])
      must(paint > 0 && data > 0, `${name}: painted at ${paint}, data at ${data}`)
      all.push(`${name} ${Math.round(paint)}/${Math.round(data)}`)
      await w.closeAll()
    }
    return `paint/data in ms: ${all.join(', ')}`
  })

  check('13 of 20,000 runs those in sight are drawn, sorted and filtered', async () => {
    const n = 20000
    const { experiment_id } = await w.mlflow('experiments/create', { name: `twenty thousand ${Date.now()}` })
    const begun = Date.now()
    await batches(n, 20, async i => {
      const { run } = await w.mlflow('runs/create', { experiment_id, run_name: `run ${i}`, start_time: 1700000000000 + i * 1000 })
      await w.mlflow('runs/log-batch', { run_id: run.info.run_id, metrics: [{ key: 'ndcg', value: (i * 7919 % n) / n, timestamp: 1700000000000, step: 0 }], params: [{ key: 'dim', value: String(8 << (i % 4)) }] })
    })
    const made = Date.now() - begun
    const page = await w.open(`/ui/runs?experiment=${experiment_id}`)
    const grid = page.locator('[role=grid]')
    await page.waitForFunction(n => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === String(n + 1), n, { timeout: waitMillis })
    const p95 = await frames(page, `const g = document.querySelector('[role=grid]'); for (let i = 0; i < 60; i++) { g.scrollTop += 700; await new Promise(f => requestAnimationFrame(f)) }`)
    const drawn = await page.locator('[role=grid] .rows [role=row]').count()
    must(drawn > 5 && drawn < 80, `${drawn} rows are drawn`)
    const start = Date.now()
    await page.getByRole('button', { name: 'ndcg' }).click()
    await page.waitForFunction(() => document.querySelector('[aria-sort=descending]'), null, { timeout: waitMillis })
    const sorted = Date.now() - start
    await grid.evaluate(e => { e.scrollTop = 0 })
    await w.pause(page, 200)
    const values = await page.locator('[role=grid] .rows [role=row]').evaluateAll(rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => Number(r.querySelectorAll('.num')[1].innerText)))
    same(values.slice(0, 10), [...values].sort((a, b) => b - a).slice(0, 10), 'the order')
    must(values[0] > 0.9999, `the greatest is ${values[0]}`)
    await page.locator('[data-filter]').fill('metrics.ndcg>0.5 params.dim=64')
    const want = Array.from({ length: n }, (_, i) => i).filter(i => (i * 7919 % n) / n > 0.5 && i % 4 === 3).length
    await page.waitForFunction(n => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === String(n + 1), want, { timeout: waitMillis })
    return `made in ${Math.round(made / 1000)} s; frames p95 ${Math.round(p95)} ms, ${drawn} rows, sorted in ${sorted} ms, ${want} of ${n} fit`
  })

  check('14 of 100,000 points a single outlier is seen', async () => {
    const n = 100000
    const { run } = await w.mlflow('runs/create', { experiment_id: w.experiment, run_name: 'a hundred thousand points', start_time: 1500000000000 })
    for (let i = 0; i < n / 1000; i++) await w.mlflow('runs/log-batch', { run_id: run.info.run_id, metrics: Array.from({ length: 1000 }, (_, k) => ({ key: 'loss', value: i === 37 && k === 333 ? 1000 : 1 / (1 + i + k / 1000), timestamp: 1700000000000, step: i * 1000 + k })) })
    const page = await w.open(`/ui/runs/${run.info.run_id}`)
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    const chart = page.locator('.chart').filter({ hasText: 'loss' })
    const highest = await chart.evaluate(async e => {
      const c = e.querySelector('canvas')
      const g = c.getContext('2d').getImageData(0, 0, c.width, c.height)
      const probe = document.createElement('i'); probe.style.color = 'var(--data-1)'; document.body.append(probe)
      const [r, gr, b] = getComputedStyle(probe).color.match(/\d+/g).map(Number)
      for (let y = 0; y < c.height; y++) for (let x = 0; x < c.width; x++) { const i = (y * c.width + x) * 4; if (Math.abs(g.data[i] - r) + Math.abs(g.data[i + 1] - gr) + Math.abs(g.data[i + 2] - b) < 60 && g.data[i + 3] > 120) return y / c.height }
      return 1
    })
    must(highest < 0.3, `the curve's highest point is at ${highest} of the height: the outlier is not drawn`)
    must(/100,?000/.test(await chart.locator('figcaption').innerText()), `it does not say of how many points it is: ${await chart.locator('figcaption').innerText()}`)
    const [asked, answered] = await page.evaluate(() => { const r = performance.getEntriesByType('resource').filter(r => /metrics/.test(r.name)).at(-1); return [r.startTime, r.responseEnd] })
    return `answer in ${Math.round(answered - asked)} ms`
  })

  check('15 a log of 100,000 lines is opened at its end, and those in sight are drawn', async () => {
    const run = await w.get(`/api/v1/workflows/runs/${w.workflowRun}`)
    const task = run.tasks.find(k => k.try > 0).task
    const page = await w.open('/ui/')
    const text = Array.from({ length: 100000 }, (_, i) => `line ${i} ${w.hostile.img}`).join('\n')
    await page.route('**/logs?*', r => r.fulfill({ contentType: 'text/plain', body: text }))
    const start = Date.now()
    await page.goto(`${w.base}/ui/workflows/runs/${w.workflowRun}?task=${task}`)
    await page.waitForFunction(() => document.querySelector('.log')?.innerText.includes('line 99999'), null, { timeout: waitMillis })
    const took = Date.now() - start
    same(await page.locator('.log').evaluate(e => [e.innerText.split('\n').length < 200, e.querySelectorAll('img').length]), [true, 0], 'what is drawn')
    await page.locator('.log').evaluate(e => { e.scrollTop = 50000 * 18 })
    await page.waitForFunction(() => document.querySelector('.log').innerText.includes('line 50000'), null, { timeout: waitMillis })
    return `page to the last line in ${took} ms`
  })

  check('16 while a thousand events come a second keys answer, and memory stays flat', async () => {
    const page = await w.open('/ui/events/user-events?tail=1')
    const first = page.locator('[data-row="0"]')
    await first.waitFor({ timeout: waitMillis })
    let top = await first.innerText()
    const cdp = await page.context().newCDPSession(page)
    const heap = async () => {
      await cdp.send('HeapProfiler.collectGarbage')
      return (await cdp.send('Runtime.getHeapUsage')).usedSize / 2 ** 20
    }
    const movies = (await w.get('/api/v1/movies?limit=50')).items.map(m => m.movie_id)
    const seconds = 60
    const sizes = []
    const answers = []
    let sent = 0
    for (let s = 0; s < seconds; s++) {
      const next = new Promise(f => setTimeout(f, 1000))
      await w.send('POST', '/api/v1/events/user-interaction', Array.from({ length: 1000 }, (_, i) => ({ user_id: String(1 + i % 100), movie_id: movies[(i + s) % movies.length], interaction_type: 'click' })))
      sent += 1000
      if (s % 10 === 5) {
        const start = Date.now()
        await page.keyboard.press('?')
        await page.locator('dialog[open]').waitFor({ timeout: waitMillis })
        answers.push(Date.now() - start)
        await page.keyboard.press('Escape')
        await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
        sizes.push(await heap())
        await page.waitForFunction(b => document.querySelector('[data-row="0"]')?.innerText !== b, top, { timeout: waitMillis }).catch(() => must(false, `the first row stays: ${top}`))
        top = await first.innerText()
      }
      await next
    }
    must(Math.min(...sizes.slice(-2)) < sizes[0] * 1.5 + 5, `memory grows: ${sizes.map(x => x.toFixed(1)).join(', ')} MiB`)
    const rows = await page.locator('[role=grid] .rows [role=row]').count()
    must(rows > 5 && rows < 80, `${rows} rows are drawn`)
    return `${sent} events; a key is answered in ${answers.join(', ')} ms; ${sizes.map(x => x.toFixed(1)).join(', ')} MiB`
  })

  check('26 a late fact: what had happened by then and what was known then differ, as in the API', async () => {
    const user = `late ${Date.now()}`
    const movies = (await w.get('/api/v1/movies?limit=6')).items.map(m => m.movie_id)
    const rate = (movie, timestamp) => w.send('POST', '/api/v1/feedback', { user_id: user, movie_id: movie, interaction_type: 'rating', rating: 5, timestamp })
    await rate(movies[0], '2024-01-01T00:00:00Z')
    const known = await w.cut()
    const late = await rate(movies[1], '2024-01-02T00:00:00Z') // it happened then, and is known only now
    await w.get(`/api/v1/recommendations?user_id=${encodeURIComponent(user)}&record=false&after=${encodeURIComponent(late.position)}`)
    const shown = async query => {
      const page = await w.open(`/ui/try?user=${encodeURIComponent(user)}&k=150&${query}`)
      await page.locator('.films li').first().waitFor({ timeout: waitMillis })
      return page.locator('.films li > div > a:first-child').evaluateAll(all => all.map(a => decodeURIComponent(new URL(a.href).pathname.split('/').at(-1))))
    }
    const api = async query => (await w.get(`/api/v1/recommendations?user_id=${encodeURIComponent(user)}&k=150&explain=true&${query}`)).items.map(i => i.movie_id)
    const happened = `as_of=2024-06-01T00:00:00Z`
    const then = `known_at=${encodeURIComponent(known)}`
    const [asOf, knownAt] = [await shown(happened), await shown(then)]
    same(asOf, await api(happened), 'what had happened')
    same(knownAt, await api(then), 'what was known')
    must(knownAt.includes(movies[1]), 'the late film was met as far as was known then')
    must(!asOf.includes(movies[1]), 'the late film was not met though it had happened')
  })

  check('29 files of runs that are pages or pictures run nothing', async () => {
    const { run } = await w.mlflow('runs/create', { experiment_id: w.badExperiment, run_name: 'files', start_time: 1700000000000 })
    const files = { 'page.html': '<!doctype html><script>opener && (opener.__hit = 1); parent.__hit = 1; document.title = "ran"</script>', 'picture.svg': '<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'ran\'"><script>document.title = "ran"</script></svg>', 'script.js': 'window.__hit = 1' }
    for (const [name, body] of Object.entries(files)) {
      const r = await fetch(`${w.tracking}/api/2.0/mlflow-artifacts/artifacts/${w.badExperiment}/${run.info.run_id}/artifacts/${name}`, { method: 'PUT', body })
      must(r.ok, `${name}: ${r.status} ${await r.text()}`)
    }
    const page = await w.open(`/ui/runs/${run.info.run_id}`)
    await w.settled(page)
    const links = await page.locator('main a[download]').evaluateAll(all => all.map(a => [a.innerText, a.href]))
    same(links.map(l => l[0]).sort(), Object.keys(files).sort(), 'files')
    for (const [name, href] of links) {
      const r = await fetch(href)
      same([r.headers.get('x-content-type-options'), r.headers.get('content-disposition')?.split(';')[0], /sandbox/.test(r.headers.get('content-security-policy'))], ['nosniff', 'attachment', true], name)
      const opened = await page.context().newPage()
      await opened.goto(href).catch(() => {}) // it is downloaded, and shown nowhere
      must((await opened.title()) !== 'ran', `${name} runs`)
      const framed = await page.evaluate(async href => {
        const s = document.createElement('img'); s.src = href; document.body.append(s)
        await new Promise(f => { s.onload = s.onerror = f })
        s.remove()
        return window.__hit ?? null
      }, href)
      same(framed, null, `${name} in the page`)
    }
    w.take() // a file that is no picture is refused as one
  })

  check('25 lists of more than a page are compared to their end', async () => {
    const who = `p${Date.now()}-`
    const { movie_id } = (await w.get('/api/v1/movies?limit=1')).items[0]
    const n = 2400
    const acts = (from, to) => Array.from({ length: to - from }, (_, i) => ({ user_id: `${who}${String(from + i).padStart(5, '0')}`, movie_id, interaction_type: 'click' }))
    for (let i = 0; i < n; i += 800) await w.send('POST', '/api/v1/events/user-interaction', acts(i, i + 800))
    const before = await w.cut()
    const come = [`${who}01100x`, `${who}zz`]
    for (const id of come) await w.act(id, movie_id)
    const page = await w.open('/ui/')
    let pages = 0
    page.on('request', r => { const u = new URL(r.url()); if (u.pathname === '/api/v1/users' && u.searchParams.get('limit') === '1000') pages++ })
    const start = Date.now()
    await page.goto(`${w.base}/ui/people?q=${who}&vs_known_at=${encodeURIComponent(before)}`)
    await page.waitForFunction(() => document.querySelector('[data-diff] table.diff') && !document.querySelector('[data-diff] [data-comparing], [data-diff] .skeleton'), null, { timeout: 120000 })
    same((await page.locator('[data-diff] tr.added th').allInnerTexts()).sort(), come, 'who came')
    same(await page.locator('[data-diff] tbody tr').count(), come.length, 'rows')
    same(await page.locator('[data-diff] .warn').count(), 0, 'bounds')
    must(pages >= 6, `${pages} pages were read`)
    return `${n} people twice, ${pages} pages in ${Date.now() - start} ms`
  })
}
