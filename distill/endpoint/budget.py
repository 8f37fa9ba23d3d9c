"""Tokens and money: nothing is sent whose price could exceed what is left."""

from __future__ import annotations

import asyncio

from distill.endpoint.answers import Spent
from distill.endpoint.options import EndpointOptions
from distill.errors import EndpointError


class BudgetSpentError(EndpointError):
    """What is left of the budget does not pay for another request."""


class Budget:
    """The budget of one run. ``spent`` is settled; ``held`` is the most that the requests under way can cost.

    Args:
        options: limits and prices.
        spent: what earlier processes of the run used.
    """

    def __init__(self, options: EndpointOptions, spent: Spent) -> None:
        self._options = options
        self.spent = spent
        self._held = Spent()
        self._settled = asyncio.Condition()

    async def hold(self, most: Spent) -> None:
        """Set ``most`` aside; waits while requests under way may still turn out cheaper.

        Raises:
            BudgetSpentError: it does not fit although nothing is under way.
        """
        async with self._settled:
            while not self._fits(self.spent.plus(self._held).plus(most)):
                if not self._held.requests:
                    raise self._over(most)
                await self._settled.wait()
            self._held = self._held.plus(most)

    async def settle(self, most: Spent, cost: Spent) -> None:
        """Replace what was set aside by what it did cost."""
        async with self._settled:
            self._held = self._held.plus(most, -1)
            self.spent = self.spent.plus(cost)
            self._settled.notify_all()

    def _fits(self, total: Spent) -> bool:
        options = self._options
        tokens = options.budget_tokens is None or total.tokens <= options.budget_tokens
        return tokens and (options.budget_usd is None or total.usd <= options.budget_usd + 1e-12)

    def _over(self, most: Spent) -> BudgetSpentError:
        options, spent = self._options, self.spent
        limits = [f"{options.budget_tokens:,} tokens"] if options.budget_tokens is not None else []
        limits += [f"{options.budget_usd:,.2f} USD"] if options.budget_usd is not None else []
        used = f"{spent.tokens:,} tokens" + (f" and {spent.usd:,.4f} USD" if options.budget_usd is not None else "")
        return BudgetSpentError(
            f"The budget of {' and '.join(limits)} does not pay for another request: {used} are used, and the next one can "
            f"take {most.tokens:,} tokens.",
            hint="Every answer so far is kept. Start the run again with a larger budget and the teacher's option 'day' set "
            "to this run's day: nothing is paid twice.",
        )
