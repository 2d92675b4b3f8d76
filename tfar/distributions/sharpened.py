"""Copies of autoregressive distributions whose conditionals are sharper: at another temperature, or of the likeliest classes."""

from typing import Any, Self

from tfar.distributions.sequences import Sequences
from tfar.heads.tempered import check_temperature
from tfar.heads.truncated import check_top_k, check_top_p, check_truncates


class Sharpened(Sequences):
    """Adds the copies that draw from a changed conditional of each site.

    The changes apply in a fixed order, whatever the order of the calls: the temperature, then `top_k`, then `top_p`. A copy
    keeps the earlier changes, and another call of the same method replaces its change.
    """

    @property
    def temperature(self) -> float:
        """The temperature of the conditionals: 1 unless `with_temperature` changed it."""
        return 1.0 if self._law.temperature is None else float(self._law.temperature)

    @property
    def top_k(self) -> int | None:
        """The number of classes to which `with_top_k` restricts each conditional; None for all."""
        return self._law.top_k

    @property
    def top_p(self) -> float:
        """The share of the probability to which `with_top_p` restricts each conditional: 1 for all."""
        return 1.0 if self._law.top_p is None else float(self._law.top_p)

    def with_temperature(self, temperature: float) -> Self:
        """Returns a copy that shares the weights and has tempered conditionals.

        The copy is a different distribution: sharper for temperatures below 1, flatter above. Its `sample`, `log_prob`
        and `complete` all refer to that distribution. The product of tempered conditionals is not a power of the
        model's density.

        Args:
            temperature: float, T > 0; 1 leaves the conditionals unchanged.

        Raises:
            ValueError: If the temperature is not a positive number, or the head does not define it.

        Example:
            >>> hot = tfar.MADE([2], [4]).with_temperature(1e6)  # hot sites are uniform
            >>> round(float(hot.log_prob([1.0, 0.0])), 4)
            -1.3863
        """
        temperature = check_temperature(temperature, self.head)
        return self._changed(temperature=None if temperature == 1.0 else temperature)

    def with_top_k(self, top_k: int | None) -> Self:
        """Returns a copy that shares the weights and whose conditionals keep their `top_k` most probable classes.

            p(x_i = k | x_<i) = q(k) / sum_{j in S} q(j) for k in S,    else 0

        q is the conditional of the model at the temperature of the copy, and S its `top_k` most probable classes; of classes
        with equal probabilities the lower ones come first. The copy is a different distribution: its `sample`, `log_prob` and
        `complete` all refer to it, and the `log_prob` of an event with another class is -inf. Copies with different `top_k` are
        compiled separately.

        Args:
            top_k: int of at least 1, or None, which keeps all classes.

        Raises:
            ValueError: If `top_k` is another value, or a site is continuous or has several channels.

        Example:
            >>> greedy = tfar.MADE([2], [4], head=tfar.heads.Categorical(5)).with_top_k(1)
            >>> float(greedy.log_prob(greedy.sample(seed=1)))
            0.0
        """
        if top_k is not None:
            top_k = check_top_k(top_k)
            check_truncates(self.head)
        return self._changed(top_k=top_k)

    def with_top_p(self, top_p: float) -> Self:
        """Returns a copy that shares the weights and whose conditionals keep the most probable classes with a share `top_p`.

        It is nucleus sampling as a distribution. Each conditional is restricted to the smallest number of its most probable
        classes whose probabilities sum to at least `top_p`, and normalised, as in `with_top_k`. If the copy also has `top_k`,
        the share is that of the probability of those classes.

        Args:
            top_p: float, 0 < top_p <= 1; 1 keeps all classes.

        Raises:
            ValueError: If `top_p` is another value, or a site is continuous or has several channels.

        References:
            Holtzman, Buys, Du, Forbes and Choi. The curious case of neural text degeneration. ICLR 2020, section 3.1.
            https://arxiv.org/abs/1904.09751

        Example:
            >>> dist = tfar.MADE([2], [4], head=tfar.heads.Categorical(5)).with_temperature(0.8).with_top_p(0.9)
            >>> dist.temperature, dist.top_k, dist.top_p
            (0.8, None, 0.9)
        """
        top_p = check_top_p(top_p)
        check_truncates(self.head)
        return self._changed(top_p=None if top_p == 1.0 else top_p)

    def _changed(self, **options: Any) -> Self:
        return self._clone(_law=self._law.with_options(**options))
