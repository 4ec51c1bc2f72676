"""Names of parameters: which module a stored tensor belongs to, where its name still says so."""

from __future__ import annotations

import re

LONGEST = 512
"""Characters of a name up to which it is looked through. A judgement: the longest in real files, paths of modules, have some 150, and patterns
take time in proportion to the square."""

_NUMBERED = re.compile(
    r"""^(?: (onnx::|ortshared_)\w+ | _?val_?\d+ | t?\d+ | [a-z_]*constant\w* | node_\w+ | _inlfunc\w*
        | (const|initializer|param|parameter|tensor|value|input|output|mul|add|sub|div|t|x|y)?_?\d+(_const)?
        | (unsqueeze|transpose|permute|view|embedding|clone|expand|cat|getitem|reshape|mm|slice|split|select|to|_to_copy)(_\d+)?
        | .*_output_\d+ | const_fold_opt__\d+ | .*::\w+ )$""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names that count instead of naming."""


_ENDINGS = re.compile(r"(?:__stored)?(?>_quantized|_packed|_transposed)*+(?:(?:_DQ)?_Q[248]\w*+|(?:_fp16|_bf16)?)$")
"""What quantisers and converters append. Possessive: a name that repeats them is looked through once, not in every way to cut it."""


_ROLE = re.compile(
    r"""( [._](weight|kernel|bias|W|B) | [./]( parametrizations\.\w+\.original\d? | weight_orig | weight_[vg] | weight_[ih]h_l\d+(_reverse)? | weight | kernel | bias | gamma | beta
        | scale | slope | W | w | R | B | b | embeddings | recurrent_kernel | moving_mean | moving_variance
        | in_proj_weight | in_proj_bias | bias_[ih]h_l\d+(_reverse)? ) )$""",
    re.VERBOSE,
)


_TENSORFLOW = re.compile(
    r"(/(ReadVariableOp|Read|resource|MatMul|Conv2D|depthwise|BiasAdd|Tensordot|Reshape|transpose|Cast|Gather|Identity"
    r"|embedding_lookup|\d+)(_\d+)?(:\d+)?)*(:\d+)?$"
)


_QUANTISED = re.compile(r"(?<!logit)(?<!layer)(?<!skip)(?<!branch)(?<!res)_scale$")
"""Scales that a quantiser adds (`fc.weight_scale`) or a model fixes (`embed_scale`), not learned ones (`logit_scale`, `res_scale`)."""


_GAIN = re.compile(r"(\w+_)?(gains?|alphas?|gammas?|scales?|res_?weights?|re_?zero|temperature)")
"""What a learned factor at the top of a model is called, where no module stands in front of its name."""


def module_of(tensor: str) -> str | None:
    """`encoder.0.weight` -> `encoder.0`; None where the name only counts (`val_59`, `onnx::MatMul_280`)."""
    if len(tensor) > LONGEST:
        return None
    plain = _ENDINGS.sub("", tensor)
    if "/" in plain:
        plain = _TENSORFLOW.sub("", plain)
    if not plain or _NUMBERED.match(plain.rsplit("/", 1)[-1]):
        return None
    module = _ROLE.sub("", plain).strip("./")
    return module.replace("/", ".") or None


def names_a_gain(tensor: str) -> bool:
    """Whether a stored scalar has a parameter's name (`blocks.0.gain`, `alpha`) and not one that an exporter gives to a constant.

    A path with slashes is that of a node (`block/mul/x:0`, `/act/Constant_output_0`) unless TensorFlow read a variable there.
    """
    if len(tensor) > LONGEST:
        return False
    if "/" in tensor:
        return "ReadVariableOp" in tensor
    plain = re.sub(r"(\.\d+)+$", "", _ENDINGS.sub("", tensor))  # of a list of parameters
    if _QUANTISED.search(plain) or _NUMBERED.match(plain.rsplit(".", 1)[-1]):
        return False
    return "." in plain or _GAIN.fullmatch(plain) is not None
