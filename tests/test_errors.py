import pickle

from upres.errors import MissingExtra


def test_an_error_says_the_same_in_another_process() -> None:
    error = MissingExtra("ONNX Runtime", "ort")
    assert (
        str(error)
        == str(pickle.loads(pickle.dumps(error)))
        == 'ONNX Runtime is not installed: pip install "upres[ort]"'
    )
