"""Keras layers: cells, the loop over time, and the layers around them. One family per file, cell and layer together."""

from rnnkit.layers.attention import BahdanauAttention, LuongAttention
from rnnkit.layers.attention_cell import AttentionCell
from rnnkit.layers.bidirectional import Bidirectional
from rnnkit.layers.bridge import Bridge
from rnnkit.layers.conv_gru import ConvGRU1D, ConvGRU2D, ConvGRUCell
from rnnkit.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTMCell
from rnnkit.layers.crf import CRF
from rnnkit.layers.crf_loss import CRFLoss
from rnnkit.layers.decoder import Decoder
from rnnkit.layers.elman import Elman, ElmanCell
from rnnkit.layers.gru import GRU, GRUCell
from rnnkit.layers.layer_norm import LayerNormGRU, LayerNormGRUCell, LayerNormLSTM, LayerNormLSTMCell
from rnnkit.layers.learned_initial_state import LearnedInitialState
from rnnkit.layers.lstm import LSTM, LSTMCell
from rnnkit.layers.peephole_lstm import PeepholeLSTM, PeepholeLSTMCell
from rnnkit.layers.plain_loop import plain_loop
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell
from rnnkit.layers.residual_cell import ResidualCell
from rnnkit.layers.ro_cell import ROCell
from rnnkit.layers.sentence_encoder import SentenceEncoder
from rnnkit.layers.stacked import Stacked
from rnnkit.layers.states_in_files import states_in_files
from rnnkit.layers.value_decoder import ValueDecoder
from rnnkit.layers.zoneout_cell import ZoneoutCell
from rnnkit.ops.recurrent_product import recurrent_product
from rnnkit.word2vec.layers import CBOW, SkipGram

__all__ = [
    "CBOW",
    "CRF",
    "GRU",
    "LSTM",
    "AttentionCell",
    "BahdanauAttention",
    "Bidirectional",
    "Bridge",
    "CRFLoss",
    "ConvGRU1D",
    "ConvGRU2D",
    "ConvGRUCell",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTMCell",
    "Decoder",
    "Elman",
    "ElmanCell",
    "GRUCell",
    "LSTMCell",
    "LayerNormGRU",
    "LayerNormGRUCell",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "LearnedInitialState",
    "LuongAttention",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "ROCell",
    "Recurrent",
    "RecurrentCell",
    "ResidualCell",
    "SentenceEncoder",
    "SkipGram",
    "Stacked",
    "ValueDecoder",
    "ZoneoutCell",
    "plain_loop",
    "recurrent_product",
    "states_in_files",
]
