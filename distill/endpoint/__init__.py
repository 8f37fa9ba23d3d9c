"""A model behind an OpenAI-compatible API: asked over HTTP, paid for by the token, every answer kept as it comes. No torch here.

    options     which server, how fast, for how much
    secret      the key, from the environment alone, and the sieve that keeps it out of messages
    wire        what is sent and what comes back
    budget      tokens and money: nothing is sent that could exceed them
    answers     every request and every answer in one SQLite file, so that a run that was killed pays nothing twice
    client      one request: pacing, retries, what cannot be mended
    asking      many requests at once, from a synchronous stage
    verbalise   labels as letters or names, and the probability of each
    tokens      an answer's log-probabilities as a TokenSignal, or why they are none

HTTP is httpx2, which is pinned already (the hub's client stands on it): async, typed, with its own pool and timeouts. The openai package
would bring a second retry loop that knows nothing of the budget, and six further packages.
"""
